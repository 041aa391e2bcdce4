"""Classification networks: padding, missing values, step by step, what each can learn, and the convolutions beneath."""

from typing import Any, TypeVar, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor, nn

from tidegate.config_classify import (
    AttentionCNNLSTMClassifierSettings,
    ClassifierSettings,
    ConvLSTMClassifierSettings,
    LSTMClassifierSettings,
    Pooling,
)
from tidegate.nn.attention_cnn import AttentionCNN
from tidegate.nn.classifier import (
    AttentionCNNLSTMClassifier,
    ClassifierShape,
    ConvLSTMClassifier,
    LSTMClassifier,
    SequenceClassifier,
    Settings,
    TimePooling,
    build_classifier,
)
from tidegate.nn.multi_scale import MaskedBatchNorm, MultiScaleStem, by_fourier, directly, kernel_lengths

STEPS, CHANNELS, CLASSES = 40, 3, 5
S = TypeVar("S", bound=ClassifierSettings)


def replace(chosen: S, **changes: Any) -> S:
    return chosen.model_copy(update=changes)


LENGTHS = torch.tensor([40, 17, 5, 33, 1, 12])
CONV = ConvLSTMClassifierSettings(hidden=6, filters=8, blocks=4, kernel=9, pool=4, dilated_features=0)
ATTENTION_CNN = AttentionCNNLSTMClassifierSettings(hidden=6, filters=4, subsequence=8, overlap=5)
EVERY: dict[str, Settings] = {
    **{f"lstm {kind}": LSTMClassifierSettings(hidden=6, pooling=kind) for kind in get_args(Pooling)},
    **{f"lstm {kind} both": LSTMClassifierSettings(hidden=6, layers=2, bidirectional=True, pooling=kind) for kind in get_args(Pooling)},
    **{f"conv {kind}": replace(CONV, pooling=kind) for kind in get_args(Pooling)},
    "conv one direction": replace(CONV, bidirectional=False, layers=2),
    "conv without lstm": replace(CONV, recurrent=False),
    "conv pooled late": replace(CONV, fine_blocks=4, pooling="max"),
    "conv with fixed kernels": replace(CONV, dilated_features=168, pooling="max"),
    **{f"attention-cnn {kind}": replace(ATTENTION_CNN, attention=kind) for kind in ("softmax", "sigmoid", "none")},
    "attention-cnn derived": AttentionCNNLSTMClassifierSettings(hidden=6, filters=4, layers=2),
}


def network(name: str, **changes: Any) -> SequenceClassifier:
    """A small network without dropout, in evaluation mode, whose every weight and statistic differs from where it starts."""
    torch.manual_seed(0)
    shape = ClassifierShape(CHANNELS, CLASSES, STEPS, indicator=True)
    built = build_classifier(shape, replace(EVERY[name], dropout=0.0, **changes))
    with torch.no_grad():
        for weight in built.parameters():
            weight += 0.1 * torch.randn_like(weight)
    built(*sequences())
    return built.eval()


def sequences(seed: int = 1, missing: float = 0.1) -> tuple[Tensor, Tensor]:
    """A padded batch and its lengths."""
    torch.manual_seed(seed)
    x = torch.randn(len(LENGTHS), STEPS, CHANNELS)
    return x.masked_fill(torch.rand_like(x) < missing, torch.nan), LENGTHS


def padding(lengths: Tensor, steps: int) -> Tensor:
    return torch.arange(steps) >= lengths[:, None]


def assert_close(actual: Any, expected: Any) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", EVERY)
def test_shapes(name: str) -> None:
    built = network(name)
    x, lengths = sequences()
    logits, weights = built(x, lengths)
    assert logits.shape == (len(lengths), CLASSES) and logits.isfinite().all()
    if isinstance(built, AttentionCNNLSTMClassifier):
        cnn = built.cnn
        places = (STEPS - cnn.length) // cnn.step + 1
        count = ((lengths - cnn.length) // cnn.step + 1).clamp(min=1)
        assert weights.shape == (len(lengths), places)
        assert_close((weights != 0).sum(1), count)
        assert (weights[:, -1] > 0).all(), "the newest subsequence is last"
        if cnn.attention == "softmax":
            assert_close(weights.sum(1), count.float())
    elif "attention" in name or name == "conv one direction":
        steps = -(-STEPS // 4) if isinstance(built, ConvLSTMClassifier) else STEPS
        pooled = -(-lengths // 4) if isinstance(built, ConvLSTMClassifier) else lengths
        assert weights.shape == (len(lengths), steps)
        assert_close(weights.sum(1), torch.ones(len(lengths)))
        assert torch.equal(weights == 0, padding(pooled, steps))
    else:
        assert weights is None


@pytest.mark.parametrize("name", EVERY)
def test_the_weights_of_a_sequence_are_those_it_has_alone(name: str) -> None:
    built = network(name).eval()
    x, lengths = sequences()
    weights = built(x, lengths).weights_BT
    if weights is None:
        return
    for number, (own, length) in enumerate(zip(built.own_weights(weights, lengths), lengths.tolist(), strict=True)):
        alone = built(x[number : number + 1, : max(length, 1)], lengths[number : number + 1]).weights_BT
        assert alone is not None
        assert_close(own, alone[0, : len(own)] if length else own)
        assert_close(own.sum(), weights[number].sum())


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", EVERY)
def test_padding_does_not_matter(name: str, training: bool) -> None:
    """Neither what it holds nor how long it is: for logits, gradients, and statistics in training."""
    results = []
    x, lengths = sequences()
    for fill, more in ((0.0, 0), (torch.nan, 0), (torch.inf, 0), (1e30, 0), (7.0, 9)):
        built = network(name).train(training)
        filled = x.masked_fill(padding(lengths, STEPS)[..., None], fill)
        filled = nn.functional.pad(filled, (0, 0, 0, more), value=-3.0)
        logits = built(filled, lengths).logits_BK
        logits.square().sum().backward()
        gradients = [weight.grad for weight in built.parameters() if weight.grad is not None]
        results.append((logits, list(built.buffers()), torch.cat([gradient.flatten() for gradient in gradients])))
    for logits, buffers, gradients in results[1:]:
        assert_close(logits, results[0][0])
        assert_close(buffers, results[0][1])
        torch.testing.assert_close(gradients, results[0][2], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", EVERY)
def test_one_sequence_alone_equals_the_same_in_a_batch(name: str) -> None:
    built, (x, lengths) = network(name), sequences()
    logits, weights = built(x, lengths)
    for number, length in enumerate(lengths.tolist()):
        alone = built(x[number : number + 1, :length], lengths[number : number + 1])
        assert_close(alone.logits_BK[0], logits[number])
        if weights is not None:
            own = weights[number, : alone.weights_BT.shape[1]]
            if isinstance(built, AttentionCNNLSTMClassifier):
                own = weights[number, -alone.weights_BT.shape[1] :]
            assert_close(alone.weights_BT[0], own)


@pytest.mark.parametrize("name", EVERY)
def test_an_empty_sequence_and_one_of_missing_values_have_logits(name: str) -> None:
    built = network(name)
    x = torch.full((2, STEPS, CHANNELS), torch.nan)
    assert built(x, torch.tensor([0, STEPS])).logits_BK.isfinite().all()
    assert built(x[:0], torch.zeros(0, dtype=torch.int64)).logits_BK.shape == (0, CLASSES)


@pytest.mark.parametrize("name", EVERY)
def test_gradients_reach_all_parameters(name: str) -> None:
    built, (x, lengths) = network(name).train(), sequences()
    nn.functional.cross_entropy(built(x, lengths).logits_BK, torch.arange(len(lengths)) % CLASSES).backward()
    for parameter, weight in built.named_parameters():
        if parameter.endswith("scores.2.bias") or (parameter == "cnn.branch.2.bias" and "sigmoid" not in name):
            continue  # a softmax does not change where all of its inputs do
        assert weight.grad is not None and weight.grad.abs().max() > 1e-7, parameter


@pytest.mark.parametrize("name", EVERY)
def test_missing_values_are_said(name: str) -> None:
    built, (x, lengths) = network(name), sequences(missing=0.0)
    holes, filled = x.clone(), x.clone()
    holes[0, -3:], filled[0, -3:] = torch.nan, 0.0
    assert not torch.allclose(built(holes, lengths).logits_BK[0], built(filled, lengths).logits_BK[0])
    torch.manual_seed(0)
    silent = build_classifier(ClassifierShape(CHANNELS, CLASSES, STEPS), EVERY[name]).eval()
    assert torch.equal(silent(holes, lengths).logits_BK, silent(filled, lengths).logits_BK)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", get_args(Pooling))
def test_step_by_step_equals_at_once(kind: Pooling, layers: int) -> None:
    built = network(f"lstm {kind}", layers=layers)
    assert isinstance(built, LSTMClassifier)
    x = sequences()[0] * 10.0
    state = None
    for step in range(STEPS):
        logits, state = built.step(x[:, step], state)
        at_once = built(x, torch.full((len(x),), step + 1)).logits_BK
        assert_close(logits, at_once)
        assert_close(logits.softmax(1), at_once.softmax(1))


@given(st.sampled_from(get_args(Pooling)), st.floats(0.0, 1e4), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_pooling_step_by_step_with_any_scores(kind: Pooling, size: float, seed: int) -> None:
    """Scores too large for an exponential are no trouble."""
    torch.manual_seed(seed)
    pooling = TimePooling(kind, 4).double()
    if pooling.scores is not None:
        last = pooling.scores[2]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.weight *= size
    y = torch.randn(3, 12, 4, dtype=torch.float64)
    gathered: tuple[Tensor, ...] = ()
    for step in range(12):
        inside = torch.arange(12)[None] <= torch.full((3, 1), step)
        pooled, gathered = pooling.step(y[:, step], gathered)
        torch.testing.assert_close(pooled, pooling(y, y[:, step], inside)[0])


def test_the_lstm_classifier_is_torchs_lstm_and_a_linear_map() -> None:
    """Keras's LSTM(64), Dense(10): 42,240 and 650 parameters, and torch's second bias of 256."""
    torch.manual_seed(0)
    built = build_classifier(ClassifierShape(100, 10, 30), LSTMClassifierSettings(hidden=64, dropout=0.0))
    assert isinstance(built, LSTMClassifier)
    assert sum(weight.numel() for weight in built.parameters()) == 42_240 + 256 + 650
    lstm, dense = nn.LSTM(100, 64, batch_first=True), nn.Linear(64, 10)
    lstm.load_state_dict(built.lstm.layers[0].state_dict())
    dense.load_state_dict(built.output.state_dict())
    x, lengths, labels = torch.randn(8, 30, 100), torch.full((8,), 30), torch.randint(10, (8,))
    ours, expected = built(x, lengths).logits_BK, dense(lstm(x)[1][0][0])
    assert_close(ours, expected)
    for logits in (ours, expected):
        nn.functional.cross_entropy(logits, labels).backward()
    theirs = [weight.grad for module in (lstm, dense) for weight in module.parameters()]
    assert_close([weight.grad for weight in built.parameters()], theirs)


@pytest.mark.parametrize("layers", [1, 2])
def test_two_directions_are_torchs(layers: int) -> None:
    built = network("lstm last both", layers=layers)
    assert isinstance(built, LSTMClassifier)
    lstm = nn.LSTM(2 * CHANNELS, 6, layers, batch_first=True, bidirectional=True)
    stacked = [layer.state_dict() for layer in built.lstm.layers]
    lstm.load_state_dict({name.replace("_l0", f"_l{layer}"): weight for layer, each in enumerate(stacked) for name, weight in each.items()})
    x, lengths = sequences()
    packed = nn.utils.rnn.pack_padded_sequence(torch.cat([x.nan_to_num(0.0), x.isnan().float()], 2), lengths, True, False)
    h = lstm(packed)[1][0]
    assert_close(built(x, lengths).logits_BK, built.output(torch.cat([h[-2], h[-1]], 1)))


def test_initial_values() -> None:
    def build(**changes: Any) -> LSTMClassifier:
        torch.manual_seed(0)
        built = build_classifier(ClassifierShape(4, 3, 200), LSTMClassifierSettings(hidden=32, layers=2, bidirectional=True, **changes))
        assert isinstance(built, LSTMClassifier)
        return built

    def gates(built: LSTMClassifier, name: str) -> list[tuple[Tensor, ...]]:
        return [layer.get_parameter(f"{name}_l0{end}").detach().split(32) for layer in built.lstm.layers for end in ("", "_reverse")]

    for built in (build(), build(init="chrono")):
        for recurrent in gates(built, "weight_hh"):
            for gate in recurrent:
                assert_close(gate @ gate.T, torch.eye(32))
        assert built.output.bias.eq(0.0).all()
    for i, f, g, o in gates(build(), "bias_ih"):
        assert f.eq(1.0).all() and not torch.cat([i, g, o]).any()
    for i, f, g, o in gates(build(init="chrono"), "bias_ih"):
        assert torch.equal(i, -f) and not torch.cat([g, o]).any()
        assert f.min() >= 0.0 and 100.0 < f.exp().max() <= 199.0
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):  # torch: uniform up to 1 / sqrt(hidden), biases too
        for drawn in gates(build(init="torch"), name):
            assert 0.9 * 32**-0.5 < torch.cat(drawn).abs().max() <= 32**-0.5


@pytest.mark.parametrize("kind", ["dropout", "input_dropout", "layer_dropout", "recurrent_dropout", "weight_drop"])
@pytest.mark.parametrize("name", ["lstm last both", "conv attention", "attention-cnn derived"])
def test_dropout_in_training_only(name: str, kind: str) -> None:
    torch.manual_seed(0)
    chosen = replace(EVERY[name], **{"layers": 2, "dropout": 0.0, kind: 0.5})
    built, (x, lengths) = build_classifier(ClassifierShape(CHANNELS, CLASSES, STEPS), chosen), sequences()
    once, again = (built(x, lengths).logits_BK for _ in range(2))
    assert not torch.allclose(once, again)
    once.sum().backward()
    assert all(weight.grad is not None for weight in built.parameters())
    built.eval()
    assert torch.equal(built(x, lengths).logits_BK, built(x, lengths).logits_BK)


@pytest.mark.parametrize("attention", ["softmax", "sigmoid", "none"])
def test_subsequences_are_those_of_the_unit(attention: Any) -> None:
    """A sequence that fills no subsequence at its beginning and is padded, against the unit alone on the sequence alone."""
    built, (x, _) = network(f"attention-cnn {attention}"), sequences()
    assert isinstance(built, AttentionCNNLSTMClassifier) and isinstance(built.cnn, AttentionCNN)
    features, weights = built.cnn(built.values(x[:1, :34]))
    hidden = built.lstm(features, None)[1][-1][0][0]
    logits, weights_padded = built(x[[0, 1]], torch.tensor([34, STEPS]))
    assert_close(logits[:1], built.output(hidden))
    assert_close(weights_padded[:1, -weights.shape[1] :], weights)


def test_masked_batch_norm_is_batch_norm_of_the_steps_alone() -> None:
    torch.manual_seed(0)
    masked, plain = MaskedBatchNorm(4), nn.BatchNorm1d(4)
    x, inside = 3.0 + torch.randn(6, 4, STEPS), ~padding(LENGTHS, STEPS)[:, None]
    for _ in range(3):
        y = masked(x, inside)
        rows = plain(x.transpose(1, 2)[inside[:, 0]])
        assert_close(y.transpose(1, 2)[inside[:, 0]], rows)
        assert not y.masked_fill(inside, 0.0).any()
    assert_close(masked.state_dict(), plain.state_dict())
    y = masked.eval()(x, inside)
    assert_close(y, plain.eval()(x).masked_fill(~inside, 0.0))


@given(st.integers(1, 70), st.integers(1, 70), st.integers(1, 9), st.integers(1, 4), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_convolutions_by_fourier_are_convolutions(steps: int, widest: int, inputs: int, filters: int, seed: int) -> None:
    torch.manual_seed(seed)
    x = torch.randn(3, inputs, steps, dtype=torch.float64, requires_grad=True)
    weights = [torch.randn(filters, inputs, taps, dtype=torch.float64, requires_grad=True) for taps in kernel_lengths(widest, widest)]
    results = []
    for way in (directly, by_fourier):
        y = way(x, weights)
        torch.manual_seed(seed)
        results.append([y, *torch.autograd.grad((y * torch.randn_like(y)).sum(), [x, *weights])])
    for direct, fourier in zip(*results, strict=True):
        torch.testing.assert_close(fourier, direct, rtol=1e-9, atol=1e-9)


def test_a_stem_pools_where_it_is_told() -> None:
    torch.manual_seed(0)
    whole, late, early = (MultiScaleStem(2, 4, (9, 5, 3), 4, pool, fine).eval() for pool, fine in ((1, 4), (5, 4), (5, 1)))
    late.load_state_dict(whole.state_dict())
    x = torch.randn(3, 2, 23)
    assert_close(late(x), nn.functional.max_pool1d(whole(x), 5, ceil_mode=True))
    first = early.blocks[0](x, None)
    seen: list[Tensor] = []
    early.blocks[1].register_forward_pre_hook(lambda block, given: seen.append(given[0]))
    assert early(x).shape == (3, 16, 5)
    assert_close(seen[0], nn.functional.max_pool1d(first, 5, ceil_mode=True))


def test_both_ways_of_convolution_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight channels go through the Fourier transform, the stem's result is the same without it."""
    torch.manual_seed(0)
    stem, x = MultiScaleStem(2, 8, (15, 7, 3), 7), torch.randn(4, 2, STEPS)
    calls = []
    monkeypatch.setattr("tidegate.nn.multi_scale.by_fourier", lambda x, weights: calls.append(len(weights)) or by_fourier(x, weights))
    expected = stem(x)
    assert calls == [3] * 6
    monkeypatch.setattr("tidegate.nn.multi_scale.FEW_CHANNELS", 99)
    assert_close(stem(x), expected)
    assert len(calls) == 6


@given(st.integers(1, 60), st.integers(1, 600))
def test_kernel_lengths(widest: int, steps: int) -> None:
    lengths = kernel_lengths(widest, steps)
    assert all(length % 2 == 1 for length in lengths)
    assert list(lengths) == sorted(lengths, reverse=True)
    assert min(widest, steps) - 1 <= lengths[0] <= max(1, min(widest, steps))
    assert kernel_lengths(40, 500) == kernel_lengths(39, 500) == (39, 19, 9)


@pytest.mark.parametrize(("steps", "pool", "kernel", "subsequence"), [(1, 1, 1, 1), (24, 1, 23, 4), (500, 4, 39, 32), (3000, 24, 39, 193)])
def test_what_is_derived_from_the_steps(steps: int, pool: int, kernel: int, subsequence: int) -> None:
    shape = ClassifierShape(1, 2, steps)
    conv = build_classifier(shape, ConvLSTMClassifierSettings(filters=2)).settings
    assert isinstance(conv, ConvLSTMClassifierSettings) and (conv.pool, conv.kernel) == (pool, kernel)
    attention = build_classifier(shape, AttentionCNNLSTMClassifierSettings()).settings
    assert isinstance(attention, AttentionCNNLSTMClassifierSettings)
    assert (attention.subsequence, attention.overlap, attention.kernel) == (subsequence, subsequence // 2, max(1, subsequence // 4))
    again = build_classifier(shape, attention).settings
    assert again == attention


def test_errors_say_what_was_expected() -> None:
    shape, (x, _) = ClassifierShape(CHANNELS, CLASSES, STEPS), sequences()
    built = build_classifier(shape, LSTMClassifierSettings(bidirectional=True))
    for lengths in (LENGTHS + 1, LENGTHS - 2, LENGTHS[:-1]):
        with pytest.raises(ValueError, match="expected 6 of them, from 0 to 40"):
            built(x, lengths)
    assert isinstance(built, LSTMClassifier)
    with pytest.raises(ValueError, match="bidirectional=False"):
        built.step(x[:, 0])
    for wrong in ({"overlap": 8}, {"kernel": 9}):
        with pytest.raises(ValueError, match="overlap 8|kernel 9"):
            build_classifier(shape, AttentionCNNLSTMClassifierSettings(subsequence=8, **wrong))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValidationError):
        setattr(built.settings, "hidden", 3)  # noqa: B010


def train(built: SequenceClassifier, make: Any, steps: int, rate: float = 1e-2) -> float:
    """Accuracy on sequences it has not seen, after so many steps of plain Adam."""
    optimiser = torch.optim.Adam(built.parameters(), rate)
    for _ in range(steps):
        x, lengths, labels = make(32)
        optimiser.zero_grad()
        nn.functional.cross_entropy(built(x, lengths).logits_BK, labels).backward()
        optimiser.step()
    built.eval()
    x, lengths, labels = make(200)
    with torch.no_grad():
        return (built(x, lengths).logits_BK.argmax(1) == labels).float().mean().item()


def frequencies(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Waves of two frequencies at any phase, with noise, of different lengths."""
    labels, lengths = torch.randint(2, (count,)), torch.randint(30, 61, (count,))
    angle = torch.arange(60.0) * (0.5 + 0.3 * labels[:, None]) + 6.28 * torch.rand(count, 1)
    return (angle.sin() + 0.3 * torch.randn(count, 60))[..., None], lengths, labels


def order(count: int) -> tuple[Tensor, Tensor, Tensor]:
    """One peak and one dip far apart, away from both ends: which comes first? Both classes have the same shapes in them."""
    labels = torch.randint(2, (count,))
    x = 0.05 * torch.randn(count, 80, 1)
    sign = 1.0 - 2.0 * labels
    rows, early, late = torch.arange(count), torch.randint(15, 28, (count,)), torch.randint(52, 65, (count,))
    x[rows, early, 0] += sign
    x[rows, late, 0] -= sign
    return x, torch.full((count,), 80), labels


@pytest.mark.parametrize(
    ("chosen", "steps"),
    [
        (LSTMClassifierSettings(hidden=24), 150),
        (ConvLSTMClassifierSettings(hidden=16, filters=4, blocks=3, dilated_features=0), 60),
        (ConvLSTMClassifierSettings(filters=4, blocks=3, dilated_features=0, recurrent=False), 60),
        (AttentionCNNLSTMClassifierSettings(hidden=24, filters=16, subsequence=10), 80),
    ],
)
def test_learns_frequencies(chosen: Settings, steps: int) -> None:
    torch.manual_seed(0)
    assert train(build_classifier(ClassifierShape(1, 2, 60), chosen), frequencies, steps) > 0.95


@pytest.mark.parametrize(
    ("chosen", "steps"),
    [
        (LSTMClassifierSettings(hidden=24, init="chrono"), 150),
        (ConvLSTMClassifierSettings(hidden=16, filters=4, blocks=2, kernel=9, dilated_features=0), 80),
        (AttentionCNNLSTMClassifierSettings(hidden=24, filters=16, subsequence=10, kernel=5), 100),
    ],
)
def test_learns_order(chosen: Settings, steps: int) -> None:
    torch.manual_seed(0)
    assert train(build_classifier(ClassifierShape(1, 2, 80), chosen), order, steps) > 0.95


def test_order_beyond_the_kernels_needs_the_lstm() -> None:
    torch.manual_seed(0)
    chosen = ConvLSTMClassifierSettings(filters=4, blocks=2, kernel=9, dilated_features=0, recurrent=False)
    assert train(build_classifier(ClassifierShape(1, 2, 80), chosen), order, 80) < 0.7
