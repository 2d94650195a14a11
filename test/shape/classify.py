"""Learns from one half of the connections to tell Culvert's from those of chat pages, and says how well it does with
the other: the area under the ROC curve of a decision tree over size, direction and gap of each of the first records."""

import json
import random
import sys

from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier, export_text

RECORDS = 20
LEAST = 4  # of a connection that is judged


def features(records):
    row = []
    for i in range(RECORDS):
        size, gap = records[i] if i < len(records) else (0, -1)
        row += [size > 0, abs(size), gap]
    return row


NAMES = [f"{what} {i + 1}" for i in range(RECORDS) for what in ("is down", "size", "gap")]


def load(path):
    with open(path) as lines:
        all = [json.loads(line) for line in lines]
    return [c for c in all if c["records"] and len(c["records"]) >= LEAST and c["class"] in ("culvert", "chat")]


def halves(connections, by_group, seed):
    """Of all connections, or of users and sites, so that whoever is judged was never seen."""
    r = random.Random(seed)
    if by_group:
        groups = sorted({(c["class"], c["group"]) for c in connections})
        r.shuffle(groups)
        some = set(groups[::2])
        one = [c for c in connections if (c["class"], c["group"]) in some]
        other = [c for c in connections if (c["class"], c["group"]) not in some]
        return one, other
    shuffled = list(connections)
    r.shuffle(shuffled)
    return shuffled[::2], shuffled[1::2]


def auc(model, train, test):
    model.fit([features(c["records"]) for c in train], [c["class"] == "culvert" for c in train])
    says = model.predict_proba([features(c["records"]) for c in test])[:, 1]
    return roc_auc_score([c["class"] == "culvert" for c in test], says)


def tree():
    return DecisionTreeClassifier(max_depth=5, min_samples_leaf=5, random_state=0)


def main():
    connections = load(sys.argv[1])
    least, most = int(sys.argv[2]), float(sys.argv[3])
    ours = sum(c["class"] == "culvert" for c in connections)
    print(f"{ours} connections of Culvert, {len(connections) - ours} of chat pages")
    if min(ours, len(connections) - ours) < least:
        sys.exit(f"too few to learn from: want {least} of each")
    figures = {}
    for name, by_group in (("sessions not seen", False), ("users and sites not seen", True)):
        splits = [halves(connections, by_group, seed) for seed in range(10)]
        trees = [auc(tree(), *s) for s in splits]
        forest = auc(RandomForestClassifier(300, min_samples_leaf=2, random_state=0), *splits[0])
        figures[name] = sum(trees) / len(trees)
        print(f"{name}: AUC of a tree {figures[name]:.3f} ({min(trees):.3f} to {max(trees):.3f}), of a forest {forest:.3f}")
    shown = DecisionTreeClassifier(max_depth=3, min_samples_leaf=5, random_state=0)
    shown.fit([features(c["records"]) for c in connections], [c["class"] == "culvert" for c in connections])
    print(export_text(shown, feature_names=NAMES))
    for name, figure in figures.items():
        if figure > most:
            sys.exit(f"a tree tells Culvert from chat pages, by {name}: AUC {figure:.3f}, want {most} at most")


main()
