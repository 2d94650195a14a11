"""Learns from one half of the connections to tell Culvert's from those of chat pages, and says how well it does with
the other: the area under the ROC curve of a decision tree over size, direction and gap of each of the first records."""

import json
import random
import sys

import openings
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier, export_text

RECORDS = 20
LEAST = 4  # of a connection that is judged
DEPTH, LEAF = 5, 5  # of the tree, and of the connections at one of its leaves


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
    return DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=LEAF, random_state=0)


def parts(connections):
    """All, and those whose chat pages are of kinds that openings.py has learned from, or of others."""
    ours = [c for c in connections if c["class"] == "culvert"]
    chats = [c for c in connections if c["class"] == "chat"]
    yield "all", connections
    if all(map(openings.is_learned, chats)):
        return
    yield "kinds that openings are of", ours + [c for c in chats if openings.is_learned(c)]
    yield "other kinds", ours + [c for c in chats if not openings.is_learned(c)]


def judge(connections, by_group):
    splits = [halves(connections, by_group, seed) for seed in range(10)]
    trees = [auc(tree(), *s) for s in splits]
    forest = auc(RandomForestClassifier(300, min_samples_leaf=2, random_state=0), *splits[0])
    return trees, forest


def main():
    connections = load(sys.argv[1])
    least, most = int(sys.argv[2]), float(sys.argv[3])
    ours = sum(c["class"] == "culvert" for c in connections)
    kinds = {openings.kind(c) for c in connections if c["class"] == "chat"}
    print(f"{ours} connections of Culvert, {len(connections) - ours} of chat pages of {len(kinds)} kinds")
    if min(ours, len(connections) - ours) < least:
        sys.exit(f"too few to learn from: want {least} of each")
    figures = {}
    for part, some in parts(connections):
        for name, by_group in (("sessions not seen", False), ("users and sites not seen", True)):
            trees, forest = judge(some, by_group)
            figures[f"{name}, {part}"] = mean = sum(trees) / len(trees)
            print(f"{part}, {name}: AUC of a tree {mean:.3f} ({min(trees):.3f} to {max(trees):.3f}), of a forest {forest:.3f}")
    learned = tree().fit([features(c["records"]) for c in connections], [c["class"] == "culvert" for c in connections])
    print(f"the tree of all: {DEPTH} deep at most, here with {learned.get_n_leaves()} leaves of at least {LEAF} connections; its first splits:")
    print(export_text(learned, feature_names=NAMES, max_depth=2))
    for name, figure in figures.items():
        if figure > most:
            sys.exit(f"a tree tells Culvert from chat pages, by {name}: AUC {figure:.3f}, want {most} at most")


main()
