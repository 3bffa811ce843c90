"""Figures of a dispatch: its transport graph, its timeline, tables of runs, with plotly."""

from .drawing import draw_lattice as draw_lattice
from .drawing import is_down as is_down
from .figure import graph_figure as graph_figure
from .plots import plot_table as plot_table
from .subject import Subject as Subject
from .timeline import Attempt as Attempt
from .timeline import timeline_figure as timeline_figure
