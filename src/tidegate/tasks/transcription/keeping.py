"""What the training of a recogniser writes into its run folder, and what is found there again."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from tidegate.evaluate.leaderboard import leaderboard_csv
from tidegate.evaluate.speech import constant_rival
from tidegate.runs.folder import RunFolder
from tidegate.runs.plain import json_text
from tidegate.tasks.computing import computing, resolve_device
from tidegate.tasks.transcription.evaluation import CONSTANT, GREEDY, Scoring, SpeechEvaluation, evaluate_speech
from tidegate.tasks.transcription.material import SpeechMaterial
from tidegate.tasks.transcription.model import SpeechModel
from tidegate.tasks.transcription.report import model_card_of, report_page


def finish(folder: RunFolder, material: SpeechMaterial, model: SpeechModel) -> SpeechEvaluation:
    """Write the model, test it beside its rivals, write scores, report and card, and seal the run."""
    constant = constant_rival(material.references(material.numbers("train")))
    folder.write_tensors("model.safetensors", model.to_tensors())
    folder.write_text("preparation.json", json_text(model.to_json() | {"constant": list(constant)}) + "\n")
    scores, log_probs = score_part(material, model, constant)
    folder.write_text("leaderboard.csv", leaderboard_csv(scores.table))
    left_out = [{"path": str(problem.path), "reason": problem.reason} for problem in material.corpus.problems]
    kept = {"data_notes": material.notes, "left_out": left_out}
    folder.write_text("scores.json", json_text(scores.to_json() | kept, indent=1) + "\n")
    history: Sequence[Any] = [json.loads(line) for line in folder.read_lines("metrics.jsonl")]
    folder.write_text("report.html", report_page(material, model, scores, log_probs, history, str(folder.path)))
    folder.write_text("README.md", model_card_of(folder.path, material, model, scores))
    folder.seal()
    return scores


def score_part(
    material: SpeechMaterial, model: SpeechModel, constant: tuple[str, ...], notes: Sequence[str] = ()
) -> tuple[SpeechEvaluation, list[np.ndarray]]:
    """Scores on the test part, and its log probabilities [T', V + 1] for each utterance."""
    numbers = material.numbers("test")
    with computing(model.config.training.threads):
        log_probs = model.log_probs([material.normalised(int(number)) for number in numbers])
        best_path = [model.named([token.index for token in model.best_path(one)]) for one in log_probs]
        own = best_path if model.config.decoding.beam == 1 else [model.named(model.search(one)) for one in log_probs]
    rivals = {CONSTANT: [constant] * len(numbers)}
    if model.config.decoding.beam > 1:
        rivals = {GREEDY: best_path, **rivals}
    utterances = [material.corpus.utterances[number] for number in numbers]
    scores = evaluate_speech(model.config.network.name, Scoring.of(model.config, material.corpus.kind), utterances, own, rivals, notes)
    return scores, log_probs


def load_model(folder: RunFolder, device: str = "cpu") -> SpeechModel:
    """The model of a finished run. Raises SettingsError for a device that is not there."""
    device = resolve_device(device)
    tensors = folder.read_tensors("model.safetensors")
    return SpeechModel.from_files(folder.read_text("config.json"), folder.read_text("preparation.json"), tensors, device)


def kept_constant(folder: RunFolder) -> tuple[str, ...]:
    """The rival that a run holds."""
    return tuple(json.loads(folder.read_text("preparation.json"))["constant"])
