"""Figures of a dispatch: its transport graph and its timeline, with plotly."""

from .drawing import draw_lattice as draw_lattice
from .drawing import is_down as is_down
from .figure import graph_figure as graph_figure
from .subject import Subject as Subject
