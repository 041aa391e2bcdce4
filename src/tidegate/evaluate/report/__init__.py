"""The report of a run: one HTML file that opens offline, with its pictures drawn in place."""

from tidegate.evaluate.report.data import ClassReport, ForecastReport, SpeechReport
from tidegate.evaluate.report.page import render

__all__ = ["ClassReport", "ForecastReport", "SpeechReport", "render"]
