"""What the training of a classifier writes into its run folder, and what is found there again."""

import json
from collections.abc import Sequence
from typing import Any

from tidegate.evaluate.leaderboard import leaderboard_csv
from tidegate.runs.folder import RunFolder
from tidegate.runs.plain import json_text
from tidegate.tasks.classification.evaluation import ClassEvaluation, evaluate_classes
from tidegate.tasks.classification.material import ClassMaterial
from tidegate.tasks.classification.model import ClassModel
from tidegate.tasks.classification.report import model_card_of, report_page
from tidegate.tasks.classification.rivals import ask, class_rival_tensors, fit_class_rivals
from tidegate.tasks.computing import computing, resolve_device


def finish(folder: RunFolder, material: ClassMaterial, model: ClassModel) -> ClassEvaluation:
    """Write the model, test it beside its rivals, write scores, report and card, and seal the run."""
    folder.write_tensors("model.safetensors", model.to_tensors())
    folder.write_text("preparation.json", json_text(model.to_json()) + "\n")
    rivals = fit_class_rivals(material)
    folder.write_tensors("baselines.safetensors", class_rival_tensors(rivals))
    with computing(model.config.training.threads):
        probabilities = model.probabilities(material.test)
        weights = model.evidence(material.test)
    name, test = model.config.network.name, material.test
    scores = evaluate_classes(name, test.labels, probabilities, ask(rivals, test), model.classes, [])
    folder.write_text("leaderboard.csv", leaderboard_csv(scores.table))
    folder.write_text("scores.json", json_text(scores.to_json() | {"data_notes": material.notes}, indent=1) + "\n")
    history: Sequence[Any] = [json.loads(line) for line in folder.read_lines("metrics.jsonl")]
    folder.write_text("report.html", report_page(material, model, scores, probabilities, weights, history, str(folder.path)))
    folder.write_text("README.md", model_card_of(folder.path, material, model, scores))
    folder.seal()
    return scores


def load_model(folder: RunFolder, device: str = "cpu") -> ClassModel:
    """The model of a finished run. Raises SettingsError for a device that is not there."""
    device = resolve_device(device)
    tensors = folder.read_tensors("model.safetensors")
    return ClassModel.from_files(folder.read_text("config.json"), folder.read_text("preparation.json"), tensors, device)
