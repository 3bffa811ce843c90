import { describe, expect, it } from 'vitest';

import { DispatchModel } from '../dispatch';
import { State } from '../states';
import { ElectronRow, Graph } from '../types';
import { plainTrans } from '../views/context';
import { collapse } from '../views/graph/collapse';
import { Faces } from '../views/graph/faces';
import { find } from '../views/graph/find';
import { Box, layout, layoutSteps, spread } from '../views/graph/layout';
import { Painter, Palette } from '../views/graph/paint';
import { Opened, openingOf, Part, Scene, sceneSteps, Shape } from '../views/graph/scene';
import { fitted, showing, showingOpened } from '../views/graph/use_view';
import { electron } from './rows';

type Edges = [number, number, string][];

function graph(names: string[], edges: Edges): Graph {
  return { nodes: names.map((name, i) => [i, name, 'electron', 'COMPLETED', null]), edges };
}

const none = () => false;

/** load -> split x2 -> train xN -> best */
function experiment(n: number): Graph {
  const names = ['load', 'split', ...Array<string>(n).fill('train'), 'best'];
  const edges: Edges = [[0, 1, 'data']];
  for (let i = 0; i < n; i++) {
    edges.push([1, 2 + i, 'data'], [2 + i, n + 2, 'scores']);
  }
  return graph(names, edges);
}

describe('collapse', () => {
  it('makes one stack of equal siblings', () => {
    const { groups, edges } = collapse(experiment(16), none);
    expect(groups.map(group => [group.name, group.nodes.length])).toEqual([
      ['load', 1],
      ['split', 1],
      ['train', 16],
      ['best', 1]
    ]);
    expect(edges.map(({ from, to }) => [from, to])).toEqual([
      [0, 1],
      [1, 2],
      [2, 3]
    ]);
  });

  it('lets failed ones step out, up to six', () => {
    const few = collapse(experiment(16), node => node === 5).groups;
    expect(few.map(group => group.nodes.length)).toEqual([1, 1, 15, 1, 1]);
    const many = collapse(experiment(16), node => node >= 2 && node < 10).groups;
    expect(many.map(group => group.nodes.length)).toEqual([1, 1, 8, 8, 1]);
    expect(many[2].key).not.toBe(many[3].key);
  });

  it('collapses rows of chains, and keeps the steps of one chain apart', () => {
    const rows = graph(
      ['load', 'a', 'a', 'a', 'b', 'b', 'b'],
      [
        [0, 1, 'x'],
        [0, 2, 'x'],
        [0, 3, 'x'],
        [1, 4, 'x'],
        [2, 5, 'x'],
        [3, 6, 'x']
      ]
    );
    expect(collapse(rows, none).groups.map(group => group.nodes)).toEqual([[0], [1, 2, 3], [4, 5, 6]]);
    const chain = graph(
      ['step', 'step', 'step'],
      [
        [0, 1, 'x'],
        [1, 2, 'x']
      ]
    );
    expect(collapse(chain, none).groups).toHaveLength(3);
  });

  it('names parameters only where a node has more than one', () => {
    const two = graph(
      ['left', 'right', 'join', 'end'],
      [
        [0, 2, 'a'],
        [1, 2, 'b'],
        [2, 3, 'x']
      ]
    );
    expect(collapse(two, none).edges.map(edge => edge.label)).toEqual(['a', 'b', '']);
  });

  it('tells apart what is fed under other parameters', () => {
    const other = graph(
      ['load', 'use', 'use'],
      [
        [0, 1, 'a'],
        [0, 2, 'b']
      ]
    );
    expect(collapse(other, none).groups).toHaveLength(3);
  });

  it('makes one stack of what a function takes as *args, and keeps the places of others', () => {
    const names = ['square', 'square', 'square', 'bad', 'add'];
    const edges: Edges = [0, 1, 2, 3].map(i => [i, 4, `xs[${i}]`]);
    const found = collapse(graph(names, edges), none);
    expect(found.groups.map(group => group.nodes)).toEqual([[0, 1, 2], [3], [4]]);
    expect(found.edges.map(edge => edge.label)).toEqual(['xs', 'xs[3]']);
    const alike = collapse(graph(['square', 'square', 'add'], [[0, 2, 'xs[0]'], [1, 2, 'xs[1]']]), none);
    expect(alike.edges).toEqual([{ from: 0, to: 1, label: '' }]);
  });

  it('draws what it cannot sort', () => {
    const ring = graph(
      ['a', 'b'],
      [
        [0, 1, 'x'],
        [1, 0, 'x'],
        [0, 7, 'nobody']
      ]
    );
    expect(collapse(ring, none).groups).toHaveLength(2);
  });
});

function boxes(n: number): Box[] {
  return Array.from({ length: n }, () => ({ width: 130, height: 44 }));
}

function overlaps(all: Box[], places: { x: number; y: number }[]): number {
  let count = 0;
  for (let i = 0; i < all.length; i++) {
    for (let j = 0; j < i; j++) {
      const apart =
        places[i].x + all[i].width <= places[j].x ||
        places[j].x + all[j].width <= places[i].x ||
        places[i].y + all[i].height <= places[j].y ||
        places[j].y + all[j].height <= places[i].y;
      count += apart ? 0 : 1;
    }
  }
  return count;
}

/** A graph of `layers` layers with `wide` nodes each, every one fed by two of the layer before. */
function mesh(layers: number, wide: number): { from: number; to: number }[] {
  const edges: { from: number; to: number }[] = [];
  for (let layer = 1; layer < layers; layer++) {
    for (let i = 0; i < wide; i++) {
      edges.push({ from: (layer - 1) * wide + i, to: layer * wide + i });
      edges.push({ from: (layer - 1) * wide + ((i * 7 + 3) % wide), to: layer * wide + i });
    }
  }
  return edges;
}

describe('layout', () => {
  it('puts children to the right of their parents, and none over another', () => {
    const all = boxes(60);
    const edges = mesh(6, 10);
    const { places, width, height } = layout(all, edges);
    edges.forEach(({ from, to }) => expect(places[from].x + 130).toBeLessThan(places[to].x));
    expect(overlaps(all, places)).toBe(0);
    places.forEach(({ x, y }) => {
      expect(x).toBeGreaterThanOrEqual(0);
      expect(y).toBeGreaterThanOrEqual(-1e-6);
      expect(x + 130).toBeLessThanOrEqual(width + 1e-6);
      expect(y + 44).toBeLessThanOrEqual(height + 1e-6);
    });
  });

  it('puts them below in the other direction', () => {
    const edges = mesh(3, 4);
    const { places } = layout(boxes(12), edges, 'down');
    edges.forEach(({ from, to }) => expect(places[from].y + 44).toBeLessThan(places[to].y));
  });

  it('draws a chain straight', () => {
    const { places } = layout(boxes(5), [0, 1, 2, 3].map(i => ({ from: i, to: i + 1 })));
    places.forEach(({ y }) => expect(y).toBeCloseTo(places[0].y));
  });

  it('uncrosses what need not cross', () => {
    // 0 -> 3, 1 -> 2: in the order given, they cross
    const { places } = layout(boxes(4), [
      { from: 0, to: 3 },
      { from: 1, to: 2 }
    ]);
    expect(places[0].y < places[1].y).toBe(places[3].y < places[2].y);
  });

  it('leads long edges past the layers between', () => {
    const { bends, places } = layout(boxes(4), [
      { from: 0, to: 1 },
      { from: 1, to: 2 },
      { from: 2, to: 3 },
      { from: 0, to: 3 }
    ]);
    expect(bends[3]).toHaveLength(4);
    bends[3].forEach(({ y }) => expect(y < places[1].y || y > places[1].y + 44).toBe(true));
  });

  it('lays very many siblings in a block, not a tower', () => {
    const all = boxes(2001);
    const { places, width, height } = layout(
      all,
      all.slice(1).map((_, i) => ({ from: 0, to: i + 1 }))
    );
    expect(height / width).toBeLessThan(2);
    expect(overlaps(all.slice(0, 400), places)).toBe(0);
  });

  it('is quick, in short steps', () => {
    const steps = layoutSteps(boxes(10_000), mesh(100, 100), 'right');
    let longest = 0;
    const began = performance.now();
    for (;;) {
      const from = performance.now();
      const { done } = steps.next();
      longest = Math.max(longest, performance.now() - from);
      if (done) {
        break;
      }
    }
    const all = performance.now() - began;
    console.info(`10,000 boxes: ${Math.round(all)} ms, the longest step ${Math.round(longest)} ms`);
    expect(all).toBeLessThan(10_000);
    expect(longest).toBeLessThan(1_500);
  });
});

describe('spread', () => {
  it('keeps order and distance, as near to the wishes as can be', () => {
    const centre = new Float64Array(3);
    spread([0, 1, 2], [0, 0, 300], [40, 40, 40], centre);
    expect(centre[1] - centre[0]).toBeCloseTo(58);
    expect(centre[0] + centre[1]).toBeCloseTo(0);
    expect(centre[2]).toBeCloseTo(300);
  });
});

/** A dispatch of which these rows are known. */
function modelOf(rows: ElectronRow[]): DispatchModel {
  const electrons = new Map(rows.map(row => [row.node, row]));
  const statusOf = (node: number) => electrons.get(node)?.status ?? 'NEW_OBJECT';
  return { electrons, statusOf, inputsOf: () => '', givenOf: () => '', now: () => 0 } as unknown as DispatchModel;
}

function sceneOf(part: Partial<Part>, opened: Partial<Opened> = {}): Scene {
  const whole = { dispatch: 'd', graph: experiment(5), apart: none, inputsOf: () => '', errorOf: () => '', stamp: '', ...part };
  const steps = sceneSteps(whole, { open: new Set(), part: () => null, childOf: () => null, ...opened }, 'right');
  for (;;) {
    const step = steps.next();
    if (step.done) {
      return step.value;
    }
  }
}

describe('faces', () => {
  const told = (rows: ElectronRow[], scene: Scene) => {
    const faces = new Faces(() => modelOf(rows), plainTrans);
    return scene.shapes.map(faces.of);
  };

  it('count those that are still in a stack when one has stepped out of it', () => {
    const rows = [2, 3, 4, 5, 6].map(node => electron(node, { status: node === 3 ? 'FAILED' : 'COMPLETED' }));
    const faces = new Faces(() => modelOf(rows), plainTrans);
    const say = (scene: Scene) => scene.shapes.map(shape => `${faces.of(shape).title} ${faces.of(shape).detail}`.trim());
    expect(say(sceneOf({}))).toContain('train × 5 4 ✓  1 ✕');
    const later = say(sceneOf({ apart: node => node === 3 }));
    expect(later).toContain('train × 4 4 ✓');
    expect(later).not.toContain('train × 5 4 ✓  1 ✕');
  });

  it('name the executor where it is not that of most', () => {
    const rows = [0, 1, 2, 3, 4, 5, 6, 7].map(node => electron(node, { executor: node === 1 ? 'dask' : 'local' }));
    expect(told(rows, sceneOf({})).map(face => face.detail)).toEqual(['1.0 s', '1.0 s · dask', '5 ✓', '1.0 s']);
  });

  it('have room for inputs and error, and cells for their inputs', () => {
    const inputs = { inputsOf: () => 'C=0.123456', errorOf: () => 'ConvergenceError' };
    const box = sceneOf({ ...inputs, apart: node => node === 3 }).shapes.find(shape => shape.nodes[0] === 3)!;
    expect(box.width).toBeGreaterThan(32 + 5 * 'C=0.123456 · ConvergenceError'.length);
    const widths = ['x=1', "path='…/part-7.csv'"].map(
      text => sceneOf({ inputsOf: () => text }, { open: new Set(['d/s2']) }).shapes.find(({ role }) => role === 'cell')!.width
    );
    expect(widths[0]).toBe(72);
    expect(widths[1]).toBeGreaterThan(120);
  });

  it('tell in stacks what was reused', () => {
    const rows = [2, 3, 4, 5, 6].map(node => electron(node, { reused: node < 5 }));
    expect(told(rows, sceneOf({}))[2].detail).toBe('2 ✓  3 ↺');
    const all = rows.map(row => ({ ...row, reused: true }));
    expect(told(all, sceneOf({}))[2]).toMatchObject({ detail: '5 ↺', state: { sign: '↺' } });
  });
});

describe('sublattices in a stack', () => {
  const lattices: Graph = {
    nodes: [0, 1, 2, 3].map(node => [node, 'inner', 'sublattice', 'COMPLETED', node === 3 ? null : `run${node}`]),
    edges: []
  };
  const inner: Part = { dispatch: 'run1', graph: experiment(2), apart: none, inputsOf: () => '', errorOf: () => '', stamp: '' };
  const opened = (...open: string[]) =>
    sceneOf({ graph: lattices }, { open: new Set(open), part: id => (id === 'run1' ? inner : null) });

  it('have a mark, and open in place beside the others', () => {
    const closed = opened('d/s0');
    const cell = closed.shapes.find(shape => shape.id === 'd/c1')!;
    expect(new Faces(() => null, plainTrans).of(cell).mark).toBe('▣');
    const open = opened('d/s0', openingOf(cell)!);
    const frame = open.shapes.find(shape => shape.role === 'frame')!;
    expect([frame.nodes, frame.child, openingOf(frame)]).toEqual([[1], 'run1', openingOf(cell)]);
    expect(open.shapes.filter(shape => shape.dispatch === 'run1')).toHaveLength(4);
    expect(open.shapes.find(shape => shape.role === 'grid')?.nodes).toEqual([0, 2, 3]);
  });

  it('open from a cell of which the run began after the graph was read', () => {
    const scene = sceneOf({ graph: lattices }, { open: new Set(['d/s0']), childOf: (_, node) => (node === 3 ? 'run3' : null) });
    const cell = scene.shapes.find(shape => shape.id === 'd/c3')!;
    expect([cell.child, openingOf(cell)]).toEqual(['run3', 'd/n3']);
    expect(openingOf({ ...cell, child: null })).toBeNull();
  });
});

describe('what lies in view', () => {
  const room = { width: 900, height: 500, legend: 20 };
  const scene = (width: number, height: number): Scene => ({ shapes: [], lines: [], direction: 'right', width, height });
  const shape = (x: number, y: number, width: number, height: number) => ({ x, y, width, height }) as Shape;

  it('fits between tools and legend, however high that is', () => {
    const legend = 60;
    const { scale, y } = fitted(scene(100, 1000), { ...room, legend });
    expect(y).toBeGreaterThanOrEqual(44);
    expect(y + 1000 * scale).toBeLessThanOrEqual(room.height - legend - 16 + 1e-6);
  });

  it('moves no further than is needed to show a shape', () => {
    const view = { x: 0, y: 0, scale: 1 };
    const all = scene(1200, 400);
    expect(showing(view, shape(100, 100, 100, 40), all, room)).toEqual(view);
    expect(showing(view, shape(850, 100, 100, 40), all, room)).toEqual({ x: -62, y: 0, scale: 1 });
    expect(showing(view, shape(0, 0, 1000, 40), all, room)).toBeNull();
  });

  it('holds all of a large stack when it is opened', () => {
    const grid = shape(300, 0, 2424, 2018);
    expect(showingOpened({ x: 0, y: 0, scale: 1 }, grid, scene(2900, 2018), room)).toBeNull(); // all of it is shown
    const view = showingOpened({ x: 0, y: 0, scale: 1 }, grid, scene(60_000, 9_000), room)!;
    const [left, top] = [view.x + grid.x * view.scale, view.y + grid.y * view.scale];
    expect(left).toBeGreaterThanOrEqual(12);
    expect(top).toBeGreaterThanOrEqual(44);
    expect(left + grid.width * view.scale).toBeLessThanOrEqual(888);
    expect(top + grid.height * view.scale).toBeLessThanOrEqual(374); // the overview begins there
  });
});

describe('find', () => {
  const rows = [0, 1, 2, 3, 4, 5, 6, 7].map(node => electron(node));
  const model = { ...modelOf(rows), givenOf: (node: number) => `k=${node}` } as DispatchModel;
  const faces = new Faces(() => model, plainTrans);
  const search = (scene: Scene, text: string) => find(scene, text, faces, () => model, plainTrans)!;

  it('goes to the electron, not to what it is in', () => {
    const open = search(sceneOf({}, { open: new Set(['d/s2']) }), 'k=4');
    expect(open.count).toBe(1);
    expect(open.hits.map(({ shape }) => shape.role)).toEqual(['cell']);
    const closed = search(sceneOf({}), 'k=4');
    expect(closed.count).toBe(1);
    expect(closed.hits.map(({ shape, node, whole }) => [shape.role, node, whole])).toEqual([['stack', 4, false]]);
  });

  it('takes a stack of which all are meant as one', () => {
    const { count, hits } = search(sceneOf({}), 'train');
    expect([count, hits.length, hits[0].whole]).toEqual([5, 1, true]);
    expect(find(sceneOf({}), ' ', faces, () => model, plainTrans)).toBeNull();
  });
});

/** A canvas that keeps the words that are written on it. */
function canvas(): { context: CanvasRenderingContext2D; words: string[] } {
  const words: string[] = [];
  const known: Record<string, unknown> = {
    measureText: (text: string) => ({ width: 6 * text.length }),
    fillText: (text: string) => words.push(text)
  };
  const context = new Proxy(known, { get: (_, name) => known[String(name)] ?? (() => undefined), set: () => true });
  return { context: context as unknown as CanvasRenderingContext2D, words };
}

it('names a parameter at its edge unless a box would cover the name', () => {
  const shape = (id: string, x: number) => ({ id, x, y: 0, width: 100, height: 44, role: 'box', nodes: [0], child: null }) as unknown as Shape;
  const [from, to, between] = [shape('a', 0), shape('b', 300), shape('c', 120)];
  const state = { sign: '✓', colour: 'completed', word: 'completed' } as State;
  const face = { state, title: 'step', detail: '', mark: '' };
  const emphasis = { chosen: null, focused: null, found: null };
  const written = (...shapes: Shape[]) => {
    const { context, words } = canvas();
    const scene = { shapes, lines: [{ from, to, label: 'rates', bends: [] }], width: 400, height: 44, direction: 'right' } as Scene;
    new Painter(context, { colours: {}, font: 'sans' } as unknown as Palette).paint(scene, { x: 0, y: 0, scale: 1 }, 500, 100, () => face, emphasis);
    return words;
  };
  expect(written(from, to)).toContain('rates');
  expect(written(from, between, to)).not.toContain('rates');
});
