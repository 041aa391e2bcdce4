"""The attention CNN: shared convolutions equal subsequences convolved each by itself."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tidegate.nn.attention_cnn import AttentionCNN, Slide, first_stride, subsequence_spans


@st.composite
def units(draw: st.DrawFn) -> tuple[AttentionCNN, int, int]:
    """A unit, how many inputs it has, and a lookback that is at least one subsequence."""
    length = draw(st.integers(1, 16))
    overlap, kernel = draw(st.integers(0, length - 1)), draw(st.integers(1, length))
    inputs = draw(st.integers(1, 3))
    torch.manual_seed(draw(st.integers(0, 99)))
    kind: Any = draw(st.sampled_from(["softmax", "sigmoid", "none"]))
    unit = AttentionCNN(inputs, draw(st.integers(1, 6)), draw(st.integers(1, 6)), length, overlap, kernel, kind)
    return unit, inputs, length + draw(st.integers(0, 40))


@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(1, 6), st.integers(0, 20), st.booleans())
def test_slide_is_a_convolution(inputs: int, features: int, kernel: int, stride: int, more: int, strided: bool) -> None:
    torch.manual_seed(0)
    slide = Slide(inputs, features, kernel, stride).double()
    x = torch.randn(2, kernel + more + 3, inputs, dtype=torch.double)[:, 3 if strided else 0 :].requires_grad_()
    expected = torch.nn.functional.conv1d(x.transpose(1, 2), slide.weight, slide.bias, stride).transpose(1, 2)
    found = slide(x)
    torch.testing.assert_close(found, expected)
    weighing, sources = torch.randn_like(found), [x, slide.weight, slide.bias]
    both = [torch.autograd.grad((y * weighing).sum(), sources) for y in (found, expected)]
    for own, other in zip(*both, strict=True):
        torch.testing.assert_close(own, other)


@settings(max_examples=60, deadline=None)
@given(units())
def test_shared_convolutions_equal_subsequences_apart(drawn: tuple[AttentionCNN, int, int]) -> None:
    unit, inputs, lookback = drawn
    x = torch.randn(3, lookback, inputs, requires_grad=True)
    twin = x.detach().clone().requires_grad_()
    features, weights = unit(x)
    spans = subsequence_spans(lookback, unit.length, unit.length - unit.step)
    assert features.shape[:2] == weights.shape == (3, len(spans))
    probe = torch.randn_like(features)
    (features * probe).sum().backward()
    gradients = [weight.grad.clone() for weight in unit.parameters() if weight.grad is not None]
    unit.zero_grad()
    apart, apart_weights = unit.apart(twin)
    (apart * probe).sum().backward()
    torch.testing.assert_close(apart, features, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(apart_weights, weights, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(twin.grad, x.grad, rtol=1e-5, atol=1e-5)
    again = [weight.grad for weight in unit.parameters() if weight.grad is not None]
    for one, other in zip(gradients, again, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(units(), st.data())
def test_a_feature_sees_its_own_span_and_no_other(drawn: tuple[AttentionCNN, int, int], data: st.DataObject) -> None:
    unit, inputs, lookback = drawn
    unit.attention, unit.branch = "none", None
    spans = subsequence_spans(lookback, unit.length, unit.length - unit.step)
    number = data.draw(st.integers(0, len(spans) - 1))
    x = torch.randn(1, lookback, inputs, requires_grad=True)
    unit(x)[0][0, number].sum().backward()
    assert x.grad is not None
    touched = x.grad[0].abs().sum(1)
    first, last = lookback - spans[number][0], lookback - spans[number][1]
    outside = torch.cat([touched[:first], touched[last + 1 :]])
    assert not outside.any()
    assert touched[first : last + 1].all(), "every step of the subsequence counts"
    assert spans[-1][1] == 1, "the newest subsequence ends at the origin"


@pytest.mark.parametrize("attention", ["softmax", "sigmoid", "none"])
def test_weights_have_mean_near_one(attention: str) -> None:
    torch.manual_seed(0)
    unit = AttentionCNN(2, 8, 8, 12, 6, 3, attention)  # pyright: ignore[reportArgumentType]
    _, weights = unit(torch.randn(5, 60, 2))
    assert (weights >= 0).all()
    if attention == "softmax":
        torch.testing.assert_close(weights.sum(1), torch.full((5,), 9.0))
        assert weights.std() > 0
    elif attention == "sigmoid":
        assert 0.5 < weights.mean().item() < 1.5
    else:
        assert (weights == 1).all()


def test_features_are_weighted() -> None:
    torch.manual_seed(0)
    unit = AttentionCNN(1, 4, 4, 6, 3, 2, "softmax")
    x = torch.randn(2, 24, 1)
    features, weights = unit(x)
    unit.branch = None
    torch.testing.assert_close(features, unit(x)[0] * weights[..., None])


@given(st.integers(1, 60), st.data())
def test_the_first_stride_fits(length: int, data: st.DataObject) -> None:
    step, kernel = data.draw(st.integers(1, length)), data.draw(st.integers(1, length))
    stride = first_stride(length, step, kernel)
    assert 1 <= stride <= min(step, kernel)
    assert step % stride == 0 and (length - kernel) % stride == 0
