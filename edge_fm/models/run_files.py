"""Names of the files in a run's folder."""

MODEL_FILE = "model.keras"
RECIPE_FILE = "recipe.toml"
METRICS_FILE = "metrics.json"
HISTORY_FILE = "history.csv"
