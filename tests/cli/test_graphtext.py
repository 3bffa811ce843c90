"""Graphs as text."""

from __future__ import annotations

from covalent_jupyter.cli.graphtext import collapse, draw


def test_siblings_share_a_box() -> None:
    nodes = [
        [0, "load", "electron", "COMPLETED", None],
        *([i, "train", "electron", "RUNNING" if i == 3 else "COMPLETED", None] for i in (1, 2, 3)),
    ]
    boxes, links = collapse(nodes, [[0, i, "x"] for i in (1, 2, 3)])
    assert [(b.name, b.nodes, str(b.status)) for b in boxes] == [
        ("load", (0,), "COMPLETED"),
        ("train", (1, 2, 3), "RUNNING"),
    ]
    assert links == {(0, 1)}
    assert draw(nodes, [[0, i, "x"] for i in (1, 2, 3)]).splitlines()[1] == "│ ✓ load │ ──▶ │ ◐ train ×3 │"


def test_a_narrow_terminal_gets_a_list() -> None:
    nodes = [[i, f"step{i}", "electron", "NEW_OBJECT", None] for i in range(12)]
    text = draw(nodes, [[i, i + 1, ""] for i in range(11)], width=60)
    assert text.splitlines()[1] == "  ○ step1  ◀─ step0"


def test_wide_deep_and_empty() -> None:
    assert draw([], []) == "(no electrons)"
    nodes = [[i, f"n{i}", "electron", "FAILED", None] for i in range(300)]
    assert "and 100 more kinds" in draw(nodes, [])
    chain = [[i, "step", "electron", "COMPLETED", None] for i in range(5000)]
    assert "step" in draw(chain, [[i, i + 1, ""] for i in range(4999)])


def test_names_cannot_act_on_the_terminal() -> None:
    text = draw([[0, "a\x1b[2Jb\u202e日本", "electron", "COMPLETED", None]], [])
    assert "\x1b" not in text and "\u202e" not in text and "日本" in text
    top, middle, bottom = text.splitlines()
    assert len(top) == len(bottom) == len(middle) + 2  # two characters are two columns wide
