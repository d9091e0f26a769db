"""Put all metrics into one small table that lives in Git."""

from pathlib import Path
from statistics import mean, stdev

from digits import scores


def main() -> None:
    found = [scores.load(path) for path in sorted(Path("metrics").glob("*.json"))]
    ranked = sorted(found, key=lambda score: (-float(score["accuracy"]), score["model"]))
    lines = ["# Handwritten digits", "", "| model | test accuracy |", "|---|---|"]
    lines += [f"| {score['model']} | {score['accuracy']:.4f} |" for score in ranked]
    networks = [float(score["accuracy"]) for score in found if "gain" in score]
    if len(networks) > 1:
        spread = stdev(networks)
        lines += ["", f"Networks: {mean(networks):.4f} ± {spread:.4f} over {len(networks)} seeds."]
    Path("report.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
