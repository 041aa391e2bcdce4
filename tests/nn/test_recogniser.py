"""Recognisers: against loops in plain Python, padding, lengths, gradients, and frame by frame."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from tidegate.config_transcribe import BLSTMSettings, CausalLSTMSettings
from tidegate.nn.recogniser import Convolution, Recogniser, RecogniserShape, build_recogniser
from tidegate.nn.recogniser_stream import RecogniserStream
from tidegate.nn.reference import lstm

SHAPE = RecogniserShape(bands=5, planes=2, vocabulary=6)
SMALL: dict[str, Any] = {"hidden": 6, "layers": 2, "filters": 4}
KNOBS: tuple[dict[str, Any], ...] = ({"name": "blstm"}, {"name": "causal-lstm"}, {"name": "causal-lstm", "look_ahead": 8})
OF_NAME = {"blstm": BLSTMSettings, "causal-lstm": CausalLSTMSettings}
KINDS: dict[str, BLSTMSettings | CausalLSTMSettings] = {
    f"{knobs['name']} {stem} {pooling}{' ahead' if len(knobs) > 1 else ''}": OF_NAME[knobs["name"]].model_validate(
        {**SMALL, **knobs, "stem": stem, "pooling": pooling}
    )
    for knobs in KNOBS
    for stem in ("conv", "none")
    for pooling in (1, 2, 4)
}
CAUSAL = [name for name in KINDS if name.startswith("causal")]
LENGTHS = torch.tensor([13, 20, 1, 6])


def network(name: str, **changes: Any) -> Recogniser:
    """A small network in evaluation mode, whose every weight differs from where it starts."""
    torch.manual_seed(0)
    built = build_recogniser(SHAPE, KINDS[name].model_copy(update=changes))
    with torch.no_grad():
        for weight in built.parameters():
            weight += 0.3 * torch.randn_like(weight)
    return built.eval()


def frames(seed: int = 1, steps: int = 20) -> Tensor:
    return torch.randn(len(LENGTHS), steps, 10, generator=torch.Generator().manual_seed(seed))


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


def naive(net: Recogniser, x_TC: Tensor) -> Tensor:
    """One utterance, [T, C] -> [T', V + 1], tap by tap as the equations read."""
    assert isinstance(net.settings, BLSTMSettings | CausalLSTMSettings)
    pooling, causal = net.settings.pooling, net.settings.name == "causal-lstm"
    picture = x_TC.view(-1, SHAPE.planes, SHAPE.bands)  # frame, plane, band
    if net.settings.stem == "conv":
        for stage, stride in zip(net.stem.stages, {1: (1, 1), 2: (2, 1), 4: (2, 2)}[pooling], strict=True):
            assert isinstance(stage, Convolution)
            first = -(3 - stride) if causal else -1  # the first tap; what is causal ends with the last frame of the step
            steps, bands = -(-picture.shape[0] // stride), -(-picture.shape[2] // 2)
            done = stage.convolution.get_parameter("bias")[:, None].repeat(steps, 1, bands)
            for step in range(steps):
                for band in range(bands):
                    for t in range(3):
                        for z in range(3):
                            frame, place = step * stride + first + t, band * 2 - 1 + z
                            if 0 <= frame < picture.shape[0] and 0 <= place < picture.shape[2]:
                                done[step, :, band] += stage.convolution.weight[:, :, t, z] @ picture[frame, :, place]
                mean, variance = done[step].mean(), done[step].var(unbiased=False)
                normal = (done[step] - mean) / (variance + 1e-5).sqrt()
                done[step] = (normal * stage.norm.weight.T + stage.norm.bias.T).clamp(min=0.0)
            picture = done
        features = picture.transpose(1, 2).flatten(1)
    else:
        zeros = picture.new_zeros(-len(picture) % pooling, *picture.shape[1:])
        features = torch.cat([picture, zeros]).transpose(1, 2).reshape(-1, net.stem.features)
    delay = getattr(net.settings, "look_ahead", 0) // pooling
    y = torch.cat([features, features.new_zeros(delay, features.shape[1])])[None]
    for layer in net.lstm.layers:
        weights = dict(layer.named_parameters())
        zero = y.new_zeros(1, SMALL["hidden"])
        both = []
        for suffix, turn in (("", ()), ("_reverse", (1,)))[: 1 if causal else 2]:
            bias = weights[f"bias_ih_l0{suffix}"] + weights[f"bias_hh_l0{suffix}"]
            hidden, _ = lstm(y.flip(turn), (zero, zero), weights[f"weight_ih_l0{suffix}"], weights[f"weight_hh_l0{suffix}"], bias)
            both.append(hidden.flip(turn))
        y = torch.cat(both, 2)
    return y[0, delay:] @ net.output.weight.T + net.output.bias


@pytest.mark.parametrize("name", KINDS)
@torch.no_grad()
def test_a_batch_is_what_the_equations_give_each_utterance(name: str) -> None:
    net, x = network(name), frames()
    found, lengths, _ = net(x, LENGTHS)
    assert found.shape[2] == SHAPE.vocabulary + 1
    for row, length, steps in zip(range(4), LENGTHS.tolist(), lengths.tolist(), strict=True):
        assert_close(found[row, :steps], naive(net, x[row, :length]))


@pytest.mark.parametrize("name", [name for name in KINDS if "ahead" not in name])
@torch.no_grad()
def test_inner_states_are_what_the_top_layer_hears(name: str) -> None:
    net = network(name)
    found, lengths, inner = net(frames(), LENGTHS)
    y, _ = net.lstm.layers[-1](inner, None, lengths)
    assert_close(net.logits(y), found)
    single = network(name, layers=1)
    found, _, inner = single(frames(), LENGTHS)
    assert_close(single.logits(inner), found)


@pytest.mark.parametrize(("pooling", "expected"), [(1, [1, 2, 3, 4, 5, 6, 7]), (2, [2, 4, 6, 0]), (4, [3, 7])])
def test_a_step_has_the_label_of_its_middle(pooling: int, expected: list[int]) -> None:
    net = network(f"blstm conv {pooling}")
    labels = torch.tensor([[1, 2, 3, 4, 5, 6, 7]])
    assert net.step_labels(labels).tolist() == [expected]
    assert net.step_labels(labels).shape[1] == net(torch.zeros(1, 7, 10), torch.tensor([7])).logits_BTV.shape[1]


@pytest.mark.parametrize("name", KINDS)
@settings(deadline=None, max_examples=5)
@given(seed=st.integers(0, 99), padding=st.integers(0, 9), fill=st.sampled_from([0.0, 1e9, float("nan"), float("inf")]))
@torch.no_grad()
def test_neither_padding_nor_company_matters(name: str, seed: int, padding: int, fill: float) -> None:
    """In training mode too, where dropout is off: nothing is learned from padding."""
    net, x = network(name, dropout=0.0).train(seed % 2 == 0), frames(seed)
    outside = torch.arange(20 + padding) >= LENGTHS[:, None]
    padded = torch.nn.functional.pad(x, (0, 0, 0, padding)).masked_fill(outside[:, :, None], fill)
    found, lengths, _ = net(padded, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone, own, _ = net(x[row : row + 1, :length], torch.tensor([length]))
        assert own.tolist() == [alone.shape[1]] == [int(lengths[row])]
        assert_close(found[row, : alone.shape[1]], alone[0])


@pytest.mark.parametrize("name", KINDS)
def test_gradients_are_those_of_the_utterances_alone(name: str) -> None:
    """Each weight has one, and the frames of an utterance, but not those of its padding."""
    net, x = network(name).double().train(), frames().double()
    net.lstm.layer_dropout = 0.0
    net.settings = net.settings.model_copy(update={"dropout": 0.0})
    weights = list(net.parameters())

    def loss(x_BTC: Tensor, lengths_B: Tensor) -> Tensor:
        logits, steps, _ = net(x_BTC, lengths_B)
        inside = torch.arange(logits.shape[1]) < steps[:, None]
        return (logits.log_softmax(2)[..., 1] * inside).sum()

    whole = torch.autograd.grad(loss(x.requires_grad_(), LENGTHS), [x, *weights])
    assert all(bool((gradient != 0).any()) for gradient in whole)
    assert not whole[0][torch.arange(20) >= LENGTHS[:, None]].any()
    alone = [torch.autograd.grad(loss(x[row : row + 1, :n], LENGTHS[row : row + 1]), weights) for row, n in enumerate(LENGTHS.tolist())]
    for gradient, parts in zip(whole[1:], zip(*alone, strict=True), strict=True):
        torch.testing.assert_close(gradient, sum(parts), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", KINDS)
@torch.no_grad()
def test_lengths_follow_the_formula(name: str) -> None:
    net = network(name)
    for steps in range(1, 21):
        logits, lengths, _ = net(frames(steps=steps), torch.full((4,), steps))
        expected = -(-steps // net.pooling)
        assert logits.shape == (4, expected, SHAPE.vocabulary + 1)
        assert lengths.tolist() == [expected] * 4 == net.num_steps(torch.full((4,), steps)).tolist()


@pytest.mark.parametrize("name", KINDS)
def test_the_stem_sees_the_frames_that_reach_says(name: str) -> None:
    net = network(name)
    before, after = net.reach
    for step in (0, 2, 4):
        x = frames().requires_grad_()
        net.stem(x, None)[0, step].norm().backward()
        assert x.grad is not None
        seen = x.grad[0].abs().sum(1).nonzero()[:, 0].tolist()
        begin, end = net.time_of(step)
        assert begin == step * net.pooling and end - begin == net.pooling
        assert seen == list(range(max(0, begin - before), min(20, begin + after + 1)))
        assert not net.causal or begin + after < end, "a causal stem sees nothing behind its step"


@pytest.mark.parametrize("name", CAUSAL)
@torch.no_grad()
def test_a_causal_network_hears_no_further_than_its_latency(name: str) -> None:
    net, x = network(name), frames(steps=40)
    latency = RecogniserStream(net).latency
    assert latency == net.pooling - 1 + getattr(net.settings, "look_ahead", 0)
    full = torch.full((4,), 40)
    before = net(x, full).logits_BTV
    for step in range(0, before.shape[1], 3):
        frame = step * net.pooling + latency
        if frame + 1 < 40:
            later, newest = x.clone(), x.clone()
            later[:, frame + 1 :] += 1.0
            newest[:, frame] += 1.0
            assert torch.equal(net(later, full).logits_BTV[:, : step + 1], before[:, : step + 1])
            assert not torch.allclose(net(newest, full).logits_BTV[:, step], before[:, step])


@pytest.mark.parametrize("name", CAUSAL)
@settings(deadline=None, max_examples=8)
@given(cuts=st.lists(st.integers(0, 9), min_size=1, max_size=12))
@torch.no_grad()
def test_a_stream_gives_what_a_batch_gives(name: str, cuts: list[int]) -> None:
    net = network(name)
    stream = RecogniserStream(net)
    for utterance in range(2):
        x = frames(utterance, sum(cuts))[0]
        heard, answers = 0, []
        for piece in x.split(cuts):
            answers.append(stream.feed(piece))
            heard += len(piece)
            assert sum(map(len, answers)) == max(0, (heard - stream.latency + net.pooling - 1) // net.pooling)
        answers.append(stream.finish())
        found = torch.cat(answers)
        if len(x):
            assert_close(found, net(x[None], torch.tensor([len(x)])).logits_BTV[0])
        assert len(found) == -(-len(x) // net.pooling)
        with pytest.raises(ValueError, match=r"finished; begin the next one by reset"):
            stream.feed(x)
        with pytest.raises(ValueError, match=r"finished; begin the next one by reset"):
            stream.finish()
        stream.reset()


@torch.no_grad()
def test_a_stream_keeps_the_weights_it_began_with_and_leaves_the_network_as_it_is() -> None:
    net = network("causal-lstm conv 2").train()
    stream, other = RecogniserStream(net), RecogniserStream(net)
    assert net.training
    for weight in net.parameters():
        weight.zero_()
    x = frames()[0]
    found = torch.cat([stream.feed(x), stream.finish()])
    assert found.any() and torch.equal(found, torch.cat([other.feed(x), other.finish()]))


def test_dropout_has_one_mask_over_time_and_is_off_in_evaluation() -> None:
    """With a network that answers the same at each step, so does one with dropout, but not twice."""
    net = network("blstm none 1", layers=1, dropout=0.5)
    with torch.no_grad():
        for weight in net.lstm.parameters():
            weight.zero_()
        for bias in (net.lstm.layers[0].get_parameter(f"bias_ih_l0{suffix}") for suffix in ("", "_reverse")):
            bias[0:6], bias[6:12], bias[12:] = 20.0, -20.0, 1.0  # all in, nothing kept
    x, lengths = frames(), torch.full((4,), 20)
    assert torch.equal(net(x, lengths).logits_BTV, net(x, lengths).logits_BTV)
    first, second = (net.train()(x, lengths).logits_BTV for _ in range(2))
    assert_close(first, first[:, :1].expand_as(first))
    assert not torch.allclose(first, second) and not torch.allclose(first[0], first[1])


@pytest.mark.parametrize("knob", ["input_dropout", "recurrent_dropout", "weight_drop"])
def test_each_dropout_reaches_the_lstm(knob: str) -> None:
    net = network("blstm conv 2", dropout=0.0, **{knob: 0.5}).train()
    first, second = (net(frames(), LENGTHS).logits_BTV for _ in range(2))
    assert not torch.allclose(first, second)


@pytest.mark.parametrize("name", ["blstm conv 4", "causal-lstm none 2"])
@torch.no_grad()
def test_weights_go_from_one_network_to_another(name: str) -> None:
    net = network(name)
    other = build_recogniser(SHAPE, KINDS[name]).eval()
    assert not torch.allclose(other(frames(), LENGTHS).logits_BTV, net(frames(), LENGTHS).logits_BTV)
    other.load_state_dict(net.state_dict())
    assert torch.equal(other(frames(), LENGTHS).logits_BTV, net(frames(), LENGTHS).logits_BTV)


def test_recurrent_weights_begin_orthogonal_and_forget_gates_open() -> None:
    net = build_recogniser(SHAPE, KINDS["blstm conv 2"])
    for layer in net.lstm.layers:
        for suffix in ("", "_reverse"):
            for gate in layer.get_parameter(f"weight_hh_l0{suffix}").split(6):
                assert_close(gate @ gate.T, torch.eye(6))
            assert layer.get_parameter(f"bias_ih_l0{suffix}")[6:12].tolist() == [1.0] * 6


@pytest.mark.parametrize("name", ["blstm conv 2", "causal-lstm conv 4"])
def test_a_tiny_set_is_learned(name: str) -> None:
    torch.manual_seed(0)
    net = build_recogniser(SHAPE, KINDS[name].model_copy(update={"hidden": 16, "dropout": 0.0, "layers": 1}))
    x, lengths = frames(), torch.tensor([16, 20, 12, 18])
    targets, counts = torch.tensor([[1, 2], [3, 4], [5, 6], [6, 1]]), torch.tensor([2, 2, 2, 2])
    optimiser = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(80):
        logits, steps, _ = net(x, lengths)
        loss = torch.nn.functional.ctc_loss(logits.log_softmax(2).transpose(0, 1), targets, steps, counts)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        logits, steps, _ = net(x, lengths)
    for row, own, tokens in zip(logits, steps.tolist(), targets.tolist(), strict=True):
        assert [token for token in row[:own].argmax(1).unique_consecutive().tolist() if token] == tokens


@pytest.mark.parametrize(
    ("x", "lengths", "said"),
    [
        (frames(), torch.tensor([20, 20, 0, 1]), r"lengths are \[20, 20, 0, 1\]; expected 4 of them, from 1 to 20"),
        (frames(), torch.tensor([20, 21, 1, 1]), "from 1 to 20"),
        (frames(), torch.tensor([20, 20]), "expected 4 of them"),
        (frames(steps=0), torch.tensor([0, 0, 0, 0]), "from 1 to 0"),
        (frames()[..., :9], LENGTHS, r"shape \[4, 20, 9\]; expected \[B, T, 10\], 5 bands times 2 planes"),
    ],
)
def test_what_does_not_fit_is_said(x: Tensor, lengths: Tensor, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        network("blstm conv 2")(x, lengths)


def test_a_network_of_two_directions_is_not_streamed() -> None:
    with pytest.raises(ValueError, match="two directions waits for the end of an utterance; build it with CausalLSTMSettings"):
        RecogniserStream(network("blstm conv 2"))


def test_settings_that_do_not_fit() -> None:
    with pytest.raises(ValidationError, match="look_ahead 3 must be a multiple of pooling 2"):
        CausalLSTMSettings(look_ahead=3)
    with pytest.raises(ValidationError, match="pooling"):
        BLSTMSettings.model_validate({"pooling": 3})
    with pytest.raises(ValidationError, match="look_ahead"):
        BLSTMSettings.model_validate({"look_ahead": 2})
