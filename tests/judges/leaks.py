"""Measure random tables with ties as `leaks` does and as scikit-learn does.

Usage: leaks.py TABLES. Writes a JSON object to standard output: how many tables had ties, and the
largest difference of the AUC and of the best rule's recall, precision and skill.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import pandas as pd
from sklearn.metrics import precision_score, recall_score, roc_auc_score, roc_curve

from flareset.leaks import find_leaks


def random_table(random: np.random.Generator) -> pd.DataFrame:
    """Return images with both labels, whose values tell the label more or less."""
    size, values = random.integers(5, 400), random.integers(2, 60)
    label = np.append(random.integers(0, 2, size), [0, 1])
    told = random.integers(0, values, size + 2) + random.normal() * values / 3 * label
    return pd.DataFrame(
        {
            "wavelength": 131,
            "event_id": random.integers(0, 5, size + 2).astype(str),
            "label": label,
            "EXPTIME": np.rint(told) / 8,
        }
    )


def judged(table: pd.DataFrame) -> dict[str, float]:
    """Return the differences of each number of a table's row from scikit-learn's."""
    row = find_leaks(table, ["EXPTIME"], 1).iloc[0]
    label, values = table["label"], table["EXPTIME"]
    auc = roc_auc_score(label, values)
    found = {"auc": row["auc"] - max(auc, 1 - auc)}
    # The best cut is the point of the curve that is furthest above its diagonal.
    curves = [roc_curve(label, side * values, drop_intermediate=False) for side in (1, -1)]
    best = max((hits - alarms).max() for alarms, hits, _ in curves)
    if not row["rule"]:
        return {**found, "skill": best}
    told = table.eval(row["rule"]).astype(int)
    recall, precision = recall_score(label, told), precision_score(label, told)
    alarms = recall_score(1 - label, told)
    return {
        **found,
        "recall": row["rule_recall"] - recall,
        "precision": row["rule_precision"] - precision,
        "skill": recall - alarms - best,
    }


def main() -> None:
    random = np.random.default_rng(20140107)
    tables = [random_table(random) for _ in range(int(sys.argv[1]))]
    different = pd.DataFrame([judged(table) for table in tables]).abs().max()
    ties = sum(table["EXPTIME"].duplicated().any() for table in tables)
    print(json.dumps({"ties": int(ties), **different.to_dict()}))


if __name__ == "__main__":
    main()
