"""The real data set that ships with the package."""

from importlib.resources import files
from pathlib import Path


def demo_data() -> Path:
    """Path of UCI Bike Sharing, hourly, as Parquet (CC BY 4.0; see ATTRIBUTION.md beside it).

    17,379 rows: when, cnt, temp, hum, windspeed, weathersit, holiday, workingday; 165 hours are missing.
    """
    return Path(str(files("tidegate.demo") / "bike_sharing.parquet"))
