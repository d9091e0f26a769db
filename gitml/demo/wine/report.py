"""Put all metrics into one small table that lives in Git."""

from __future__ import annotations

from pathlib import Path

from wine import scores


def main() -> None:
    """Write `report.md`."""
    found = [scores.load(path) for path in sorted(Path("metrics").glob("*.json"))]
    ranked = sorted(found, key=lambda score: (-score["accuracy"], score["model"]))
    lines = ["# Whose wine is it?", "", "| model | test accuracy |", "|---|---|"]
    lines += [f"| {score['model']} | {score['accuracy']:.4f} |" for score in ranked]
    Path("report.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"report.md: {ranked[0]['model']} leads with {ranked[0]['accuracy']:.4f}")


if __name__ == "__main__":
    main()
