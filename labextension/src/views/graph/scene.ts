import { Graph } from '../../types';
import { collapse, Group } from './collapse';
import { Box, Direction, layoutSteps } from './layout';

/** One dispatch to draw: its graph, and which of its electrons step out of their stacks. */
export interface Part {
  dispatch: string;
  graph: Graph;
  apart: (node: number) => boolean;
  /** What tells an electron from its siblings: it should fit into its box. */
  inputsOf: (node: number) => string;
  /** Changes when another layout is due. */
  stamp: string;
}

export interface Shape extends Box {
  /** The same for the same electrons, whatever else changes. */
  id: string;
  dispatch: string;
  /** One electron, or those of a stack. */
  nodes: number[];
  name: string;
  kind: string;
  /** `frame`: an opened sublattice; `grid`: an opened stack; `cell`: an electron in it. */
  role: 'box' | 'stack' | 'frame' | 'grid' | 'cell';
  /** The id of the sublattice's run, where there is one. */
  child: string | null;
  x: number;
  y: number;
}

export interface Line {
  from: Shape;
  to: Shape;
  label: string;
  /** Points between the ends. */
  bends: { x: number; y: number }[];
}

/** Shapes in the order in which they are drawn: frames before what is in them. */
export interface Scene extends Box {
  shapes: Shape[];
  lines: Line[];
  direction: Direction;
}

export interface Opened {
  /** Ids of shapes that are open: stacks as grids, sublattices in place. */
  open: ReadonlySet<string>;
  /** The dispatches of sublattices, as far as they are there. */
  part: (dispatch: string) => Part | null;
  childOf: (dispatch: string, node: number) => string | null;
}

const HEIGHT = 44;
const STACK = 6;
const TITLE = 26;
const PADDING = 12;
export const CELL = { width: 96, height: 20, gap: 4 };
const LEAST = 116;
const MOST = 260;
/** A detail makes a box no wider than this. */
const DETAILED = 190;
/** Characters of a duration or an error's type behind the inputs. */
const DURATION = 11;

/** Everything in its place; `next()` does a part of the work. */
export function* sceneSteps(part: Part, opened: Opened, direction: Direction, depth = 0): Generator<void, Scene> {
  const { groups, edges } = collapse(part.graph, part.apart);
  yield;
  const insides = new Map<number, Scene>();
  const boxes: Box[] = [];
  const shapes: Shape[] = [];
  const children = new Map(part.graph.nodes.map(([node, , , , child]) => [node, child]));
  for (const [index, group] of groups.entries()) {
    const shape = shapeOf(part, group, children, opened);
    shapes.push(shape);
    const inside = shape.role === 'frame' && depth < 20 ? opened.part(shape.child!) : null;
    if (inside) {
      const scene = yield* sceneSteps(inside, opened, direction, depth + 1);
      insides.set(index, scene);
      shape.width = Math.max(LEAST, scene.width + 2 * PADDING);
      shape.height = scene.height + TITLE + PADDING;
    } else if (shape.role === 'frame') {
      shape.role = 'box'; // its run is not here yet
    }
    boxes.push(shape);
  }
  const placed = yield* layoutSteps(boxes, edges, direction);
  const all: Shape[] = [];
  const lines: Line[] = [];
  shapes.forEach((shape, index) => {
    Object.assign(shape, placed.places[index]);
    all.push(shape);
    const inside = insides.get(index);
    if (inside) {
      const [dx, dy] = [shape.x + (shape.width - inside.width) / 2, shape.y + TITLE];
      inside.shapes.forEach(inner => all.push(Object.assign(inner, { x: inner.x + dx, y: inner.y + dy })));
      inside.lines.forEach(line => line.bends.forEach(bend => Object.assign(bend, { x: bend.x + dx, y: bend.y + dy })));
      lines.push(...inside.lines);
    } else if (shape.role === 'grid') {
      cellsOf(shape, children).forEach(cell => all.push(cell));
    }
  });
  edges.forEach(({ from, to, label }, index) => {
    lines.push({ from: shapes[from], to: shapes[to], label, bends: placed.bends[index] });
  });
  return { shapes: all, lines, width: placed.width, height: placed.height, direction };
}

function shapeOf(
  { dispatch, inputsOf }: Part,
  group: Group,
  children: ReadonlyMap<number, string | null>,
  { open, childOf }: Opened
): Shape {
  const id = `${dispatch}/${group.key}`;
  const [first] = group.nodes;
  const single = group.nodes.length === 1;
  const child = single ? (childOf(dispatch, first) ?? children.get(first) ?? null) : null;
  const shape: Shape = {
    id,
    dispatch,
    nodes: group.nodes,
    name: group.name,
    kind: group.kind,
    role: single ? (child && open.has(id) ? 'frame' : 'box') : open.has(id) ? 'grid' : 'stack',
    child,
    x: 0,
    y: 0,
    width: widthOf(group.name.length + (single ? 0 : 5), single ? inputsOf(first).length + DURATION : 0),
    height: HEIGHT
  };
  if (shape.role === 'stack') {
    shape.height += STACK;
    shape.width += STACK;
  }
  if (shape.role === 'grid') {
    const columns = columnsOf(group.nodes.length);
    const rows = Math.ceil(group.nodes.length / columns);
    shape.width = Math.max(LEAST, columns * (CELL.width + CELL.gap) + 2 * PADDING - CELL.gap);
    shape.height = TITLE + rows * (CELL.height + CELL.gap) + PADDING - CELL.gap;
  }
  return shape;
}

/** A width at which the name, and if possible the line below it, is whole. */
function widthOf(name: number, detail: number): number {
  return Math.max(LEAST, Math.min(MOST, 54 + 7 * name), Math.min(DETAILED, 38 + 5.6 * detail));
}

/** Columns with which a grid has about the shape of a screen. */
function columnsOf(count: number): number {
  return Math.max(1, Math.round(Math.sqrt((1.4 * count * CELL.height) / CELL.width)));
}

function cellsOf(grid: Shape, children: ReadonlyMap<number, string | null>): Shape[] {
  const columns = columnsOf(grid.nodes.length);
  return grid.nodes.map((node, i) => ({
    id: `${grid.dispatch}/c${node}`,
    dispatch: grid.dispatch,
    nodes: [node],
    name: grid.name,
    kind: grid.kind,
    role: 'cell',
    child: children.get(node) ?? null,
    x: grid.x + PADDING + (i % columns) * (CELL.width + CELL.gap),
    y: grid.y + TITLE + Math.floor(i / columns) * (CELL.height + CELL.gap),
    width: CELL.width,
    height: CELL.height
  }));
}

/** The shape that stands for an electron: itself, else the stack that it is in. */
export function shapeFor(scene: Scene, dispatch: string, node: number): Shape | null {
  let stack: Shape | null = null;
  for (const shape of scene.shapes) {
    if (shape.dispatch === dispatch && shape.nodes.includes(node)) {
      if (shape.nodes.length === 1) {
        return shape;
      }
      stack = shape;
    }
  }
  return stack;
}

/** What lies under a point; what is drawn last counts. */
export function shapeAt(scene: Scene, x: number, y: number): Shape | null {
  for (let i = scene.shapes.length - 1; i >= 0; i--) {
    const shape = scene.shapes[i];
    if (x >= shape.x && y >= shape.y && x <= shape.x + shape.width && y <= shape.y + shape.height) {
      return shape;
    }
  }
  return null;
}

/** The nearest shape in a direction: for arrow keys. */
export function neighbour(scene: Scene, from: Shape, key: string): Shape | null {
  const ahead = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[key];
  if (!ahead) {
    return null;
  }
  const [x, y] = middle(from);
  let best: Shape | null = null;
  let least = Infinity;
  for (const shape of scene.shapes) {
    const [dx, dy] = [middle(shape)[0] - x, middle(shape)[1] - y];
    const along = dx * ahead[0] + dy * ahead[1];
    const aside = Math.abs(dx * ahead[1]) + Math.abs(dy * ahead[0]);
    if (shape !== from && along > 4 && along + 2 * aside < least) {
      least = along + 2 * aside;
      best = shape;
    }
  }
  return best;
}

export function middle(shape: Shape): [number, number] {
  return [shape.x + shape.width / 2, shape.y + shape.height / 2];
}
