import { Graph } from '../../types';
import { collapse, Group } from './collapse';
import { Box, Direction, layoutSteps } from './layout';

/** One dispatch to draw: its graph, and which of its electrons step out of their stacks. */
export interface Part {
  dispatch: string;
  graph: Graph;
  apart: (node: number) => boolean;
  /** What tells an electron from its siblings, and the type of its error: they should fit into its box. */
  inputsOf: (node: number) => string;
  errorOf: (node: number) => string;
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
/** Height of the line at the top of what is open. */
export const TITLE = 26;
const PADDING = 12;
export const CELL = { width: 72, height: 20, gap: 4 };
const MOST_CELL = 170;
const LEAST = 116;
const MOST = 260;
/** A detail makes a box no wider than this. */
const DETAILED = 240;
/** Characters of a duration, and of what stands before the inputs of a sublattice. */
const DURATION = 9;
const LATTICE = 10;
/** Pixels of a character of the line below a name, and in a cell. */
const CHARACTER = 5.6;

/** The id of the box, or frame, of one electron. */
export function electronId(dispatch: string, node: number): string {
  return `${dispatch}/n${node}`;
}

/** What opens and closes with a shape: its stack, or the sublattice of its electron; null: nothing does. */
export function openingOf({ id, role, dispatch, nodes, child }: Shape): string | null {
  if (role === 'stack' || role === 'grid') {
    return id;
  }
  return child === null ? null : electronId(dispatch, nodes[0]);
}

/** Everything in its place; `next()` does a part of the work. */
export function* sceneSteps(part: Part, opened: Opened, direction: Direction, depth = 0): Generator<void, Scene> {
  const { groups, edges } = collapse(part.graph, part.apart, node => opened.open.has(electronId(part.dispatch, node)));
  yield;
  const insides = new Map<number, Scene>();
  const boxes: Box[] = [];
  const shapes: Shape[] = [];
  const children = new Map(part.graph.nodes.map(([node, , , , child]) => [node, child]));
  const childOf = (node: number) => opened.childOf(part.dispatch, node) ?? children.get(node) ?? null;
  for (const [index, group] of groups.entries()) {
    const shape = shapeOf(part, group, childOf, opened.open);
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
      cellsOf(part, groups[index], shape, childOf).forEach(cell => all.push(cell));
    }
  });
  edges.forEach(({ from, to, label }, index) => {
    lines.push({ from: shapes[from], to: shapes[to], label, bends: placed.bends[index] });
  });
  return { shapes: all, lines, width: placed.width, height: placed.height, direction };
}

function shapeOf(
  part: Part,
  group: Group,
  childOf: (node: number) => string | null,
  open: ReadonlySet<string>
): Shape {
  const { dispatch } = part;
  const id = `${dispatch}/${group.key}`;
  const [first] = group.nodes;
  const single = group.nodes.length === 1;
  const child = single ? childOf(first) : null;
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
    width: widthOf(group.name.length + (single ? 0 : 5), single ? detailLength(part, first, group.kind) : 0),
    height: HEIGHT
  };
  if (shape.role === 'stack') {
    shape.height += STACK;
    shape.width += STACK;
  }
  if (shape.role === 'grid') {
    const wide = cellWidth(part, group);
    const columns = columnsOf(group.nodes.length, wide);
    const rows = Math.ceil(group.nodes.length / columns);
    shape.width = Math.max(LEAST, columns * (wide + CELL.gap) + 2 * PADDING - CELL.gap);
    shape.height = TITLE + rows * (CELL.height + CELL.gap) + PADDING - CELL.gap;
  }
  return shape;
}

/** A width at which the name, and if possible the line below it, is whole. */
function widthOf(name: number, detail: number): number {
  return Math.max(LEAST, Math.min(MOST, 54 + 7 * name), Math.min(DETAILED, 38 + CHARACTER * detail));
}

/** Characters of the line below the name. */
function detailLength({ inputsOf, errorOf }: Part, node: number, kind: string): number {
  const [inputs, error] = [inputsOf(node).length, errorOf(node).length];
  return (kind === 'sublattice' ? LATTICE : 0) + (inputs && inputs + 3) + (error || DURATION);
}

/** A width at which the cells' texts, within reason, are whole. */
function cellWidth({ inputsOf }: Part, { nodes, kind }: Group): number {
  const longest = nodes.reduce((most, node) => Math.max(most, inputsOf(node).length), 0);
  return Math.min(MOST_CELL, Math.max(CELL.width, 26 + CHARACTER * longest + (kind === 'sublattice' ? 14 : 0)));
}

/** Columns with which a grid has about the shape of a screen. */
function columnsOf(count: number, wide: number): number {
  return Math.max(1, Math.round(Math.sqrt((1.6 * count * CELL.height) / wide)));
}

function cellsOf(part: Part, group: Group, grid: Shape, childOf: (node: number) => string | null): Shape[] {
  const wide = cellWidth(part, group);
  const columns = columnsOf(grid.nodes.length, wide);
  return grid.nodes.map((node, i) => ({
    id: `${grid.dispatch}/c${node}`,
    dispatch: grid.dispatch,
    nodes: [node],
    name: grid.name,
    kind: grid.kind,
    role: 'cell',
    child: childOf(node),
    x: grid.x + PADDING + (i % columns) * (wide + CELL.gap),
    y: grid.y + TITLE + Math.floor(i / columns) * (CELL.height + CELL.gap),
    width: wide,
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

/** What stands in this scene for a shape of another one. */
export function shapeLike(scene: Scene, shape: Shape): Shape | null {
  return scene.shapes.find(({ id }) => id === shape.id) ?? shapeFor(scene, shape.dispatch, shape.nodes[0]);
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
