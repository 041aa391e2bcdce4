"""One network named over the settings of another, such as --network lstm over the config.json of an attention CNN-LSTM."""

from typing import Any

from tidegate.config import NETWORKS, AttentionCNNLSTMSettings, LSTMSettings

_KEYS: dict[str, set[str]] = {"lstm": set(LSTMSettings.model_fields), "attention-cnn-lstm": set(AttentionCNNLSTMSettings.model_fields)}


def choose_network(tree: dict[str, Any], name: str | None) -> None:
    """Name the network in a tree of settings, in place; what only the network there has goes, and what nobody has stays, to be refused."""
    if name is None:
        return
    there = tree.setdefault("network", {})
    if not isinstance(there, dict):
        return
    before = there.get("name", NETWORKS[0])
    lost = _KEYS.get(before, set()) - _KEYS.get(name, set()) if name in _KEYS else set()
    tree["network"] = {key: value for key, value in there.items() if key not in lost} | {"name": name}
