import * as React from 'react';
import { createRoot } from 'react-dom/client';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { DispatchModel } from '../dispatch';
import { ElectronRow, ResultPart } from '../types';
import { columnsOf, lengthsOf, sorted } from '../views/columns';
import { Actions, plainTrans, SurroundingsProvider } from '../views/context';
import { numbers, short } from '../views/curves';
import { diff } from '../views/diff';
import { duration } from '../format';
import { bytes, secondsLeft, spent } from '../views/figures';
import { Graph } from '../types';
import { Attempt, lanesOf, nextElectron, tickStep, ticksOf } from '../views/lanes';
import { GraphState, GraphView } from '../views/graph/graph';
import { layout } from '../views/graph/layout';
import { neighbour, Part, Scene, sceneSteps, shapeAt, shapeFor } from '../views/graph/scene';
import { labelOf, labelTexts, onlyOnes } from '../views/timeline_drawing';
import { PreviewView, Source } from '../views/preview';
import { Literal, parseLiteral } from '../views/pyliteral';
import { resultLine, resultPreview } from '../views/result';
import { tokens } from '../views/python';
import { differences } from '../views/versions';
import { electron as anElectron } from './rows';
import { row } from './server';

function electron(node: number, change: Partial<ElectronRow>): ElectronRow {
  return { node, name: 'e', status: 'COMPLETED', duration: null, started: null, ended: null, error: null, preview: null, ...change } as ElectronRow;
}

describe('the table of electrons', () => {
  const columns = columnsOf(plainTrans, node => `C=${node}`);
  const order = (rows: ElectronRow[], column: string, descending = false) =>
    sorted(rows, { column, descending }, columns, 100).map(each => each.node);

  it('sorts numbers as numbers, rows without one last, whichever way', () => {
    const rows = [
      electron(0, { started: 0, ended: 10, duration: 10 }),
      electron(1, {}),
      electron(2, { started: 0, ended: 9, duration: 9 }),
      electron(3, { started: 60, status: 'RUNNING' })
    ];
    expect(order(rows, 'duration')).toEqual([2, 0, 3, 1]);
    expect(order(rows, 'duration', true)).toEqual([3, 0, 2, 1]);
  });

  it('sorts ten thousand rows without lag, equal ones by node', () => {
    const rows = Array.from({ length: 10_000 }, (_, i) => electron(9_999 - i, { name: `n${i % 7}` }));
    const began = performance.now();
    const found = order(rows, 'name');
    expect(performance.now() - began).toBeLessThan(1_000);
    expect(found[0] < found[1]).toBe(true);
  });

  it('gives inputs the room that they need', () => {
    const inputs = (node: number) => (node === 1 ? "path='…-0001.csv'" : '');
    const nodes = [0, 1].map(node => [node, 'read', 'electron', 'COMPLETED', null] as Graph['nodes'][0]);
    const lengths = lengthsOf({ nodes, edges: [] }, inputs);
    expect(lengths).toEqual({ name: 8, inputs: 17 });
    const track = (id: string) => columnsOf(plainTrans, inputs, inputs, lengths).find(column => column.id === id)!.track;
    expect([track('name'), track('inputs')]).toEqual(['minmax(80px, 80fr)', 'minmax(136px, 136fr)']);
    expect(columns.find(column => column.id === 'inputs')!.track).toBe('minmax(70px, 70fr)');
  });

  it('puts what runs and what failed first', () => {
    const rows = [electron(0, {}), electron(1, { status: 'FAILED' }), electron(2, { status: 'RUNNING' })];
    expect(order(rows, 'state')).toEqual([2, 1, 0]);
  });
});

describe('the timeline', () => {
  const attempt = (node: number, worker: string, started: number | null, ended: number | null): Attempt => ({
    node, attempt: 1, status: 'COMPLETED', queued: 0, started, ended, executor: 'dask', worker
  });

  it('puts what a worker did one after another in one lane, and at once in several', () => {
    const found = lanesOf(
      [attempt(0, 'a', 1, 2), attempt(1, 'a', 2, 3), attempt(2, 'b', 1, 5), attempt(3, 'b', 2, 3), attempt(4, 'a', null, null)],
      10
    );
    expect(found.lanes.map(lane => lane.label)).toEqual(['a', 'b', '']);
    expect(found.spans.map(span => [span.attempt.node, span.lane])).toEqual([
      [0, 0],
      [1, 0],
      [2, 1],
      [3, 2]
    ]);
    expect([found.queued, found.began, found.to]).toEqual([0, 1, 5]);
  });

  it('leaves out most of a long first wait, and keeps a short one', () => {
    const long = lanesOf([{ ...attempt(0, 'a', 100, 108.8), queued: 0 }], 200);
    expect([long.from, long.queued]).toEqual([98.8, 0]);
    expect(lanesOf([{ ...attempt(0, 'a', 100, 108.8), queued: 99.5 }], 200).from).toBe(99.5);
  });

  it('tells the function from what lay around it', () => {
    const ran = { ...attempt(0, 'a', 1, 5), duration: 3 };
    expect(lanesOf([ran], 9).spans[0]).toMatchObject({ from: 1, worked: 4, to: 5 });
    expect(lanesOf([{ ...ran, ended: null, duration: null }], 9).spans[0]).toMatchObject({ worked: 9, to: 9 });
  });

  it('puts labels where they can be read: into full bars, else behind them', () => {
    const widthOf = (text: string) => 6 * text.length;
    const texts = ['train  C=0.1', 'C=0.1'];
    const at = (from: number, worked: number, to: number, free: number) => labelOf({ from, worked, to, free }, texts, widthOf);
    expect(at(100, 200, 210, 210)).toMatchObject({ text: texts[0], x: 104 });
    expect(at(100, 102, 180, 400)).toMatchObject({ text: texts[0], x: 185 }); // its slender end bears no text
    expect(at(100, 145, 150, 160)).toMatchObject({ text: texts[1], x: 104 });
    expect(at(100, 102, 110, 150)).toMatchObject({ text: texts[1], x: 115 });
    expect(at(100, 102, 180, 190)).toBeNull();
    const cut = labelOf({ from: 0, worked: 60, to: 60, free: 60 }, ['a very long name', 'a long name'], widthOf);
    expect(cut).toMatchObject({ text: 'a long name', room: 53 });
    expect(labelTexts('load', 'n=20', true)).toEqual(['load  n=20', 'load']);
    expect(labelTexts('train', 'C=1, g=2', false)).toEqual(['train  C=1, g=2', 'C=1, g=2', '1, 2']);
    expect([...onlyOnes([['load', 0], ['train', 1], ['train', 2], ['again', 3], ['again', 3]])]).toEqual(['load', 'again']);
  });

  it('counts from the first beginning', () => {
    expect(ticksOf({ from: 98.8, to: 108.8 }, 100, 5)).toEqual({ step: 2, ticks: [0, 2, 4, 6, 8] });
    expect(ticksOf({ from: 97.9, to: 101 }, 100, 3)).toEqual({ step: 2, ticks: [-2, 0] });
  });

  it('lets what runs end now', () => {
    expect(lanesOf([attempt(0, 'a', 1, null)], 7).spans[0].to).toBe(7);
  });

  it('has round ticks', () => {
    expect([tickStep(10, 5), tickStep(0.0042, 5), tickStep(3000, 5)]).toEqual([2, 0.001, 600]);
  });
});

describe('reprs of values', () => {
  it('are read as trees where they are containers', () => {
    const tree = parseLiteral("{'a': [1, -2.5e3, None], ('x', 1): {'s'}, 'f': array([1, 2]), 'e': {}}");
    expect(tree?.kind).toBe('map');
    expect(tree?.kind === 'map' && tree.items.map(([key]) => key.kind)).toEqual(['atom', 'sequence', 'atom', 'atom']);
  });

  it('stay text where they are not', () => {
    for (const text of ['5', "'text'", '<object at 0x1>', '[1, 2', '[1 2]', '...', 'abc...', '[[['.repeat(100), '[[['.repeat(100) + '...']) {
      expect(parseLiteral(text)).toBeNull();
    }
  });

  it('say that there is more where they leave something out', () => {
    const told = (value: Literal | null): unknown =>
      !value || value.kind === 'atom'
        ? value?.text
        : [...(value.kind === 'map' ? value.items.map(([key, item]) => [told(key), told(item)]) : value.items.map(told)), ...(value.more ? ['more'] : [])];
    const reads = (text: string) => told(parseLiteral(text));
    expect(reads("{'a': 1, ...}")).toEqual([["'a'", '1'], 'more']);
    expect(reads('[1, [...], ...]')).toEqual(['1', ['more'], 'more']);
    expect(reads("[1, 'a...b', <x, 2 rows>]")).toEqual(['1', "'a...b'", '<x, 2 rows>']);
    // cut at the end of what is kept of a long text: what stands whole counts
    expect(reads("{'a': [1, 2...")).toEqual([["'a'", ['1', 'more']], 'more']);
    for (const end of ["{'a': 1, 'b...", "{'a': 1, 'b'...", "{'a': 1, 'b': ...", "{'a': 1, 'b': array([1, ...", "{'a': 1, ...", "{'a': 1..."]) {
      expect(reads(end)).toEqual([...(end === "{'a': 1..." ? [] : [["'a'", '1']]), 'more']);
    }
  });

  it('keep quotes and commas inside of strings', () => {
    const tree = parseLiteral(`['a, b', "it's", 'q\\'q']`);
    expect(tree?.kind === 'sequence' && tree.items.length).toBe(3);
  });
});

it('colours Python without losing a character', () => {
  const source = '@ct.electron(retries=1)\ndef f(x):  # note\n    return f"{x} \'" + \'\'\'a\nb\'\'\' + 1.5e3\n';
  const found = tokens(source);
  expect(found.map(token => token.text).join('')).toBe(source);
  expect(found.filter(token => token.kind === 'keyword').map(token => token.text)).toEqual(['def', 'return']);
  expect(found.some(token => token.kind === 'comment' && token.text === '# note')).toBe(true);
});

it('compares texts line by line', () => {
  expect(diff('a\nb\nc', 'a\nx\nc').map(line => `${line.kind} ${line.text}`)).toEqual([
    'same a', 'removed b', 'added x', 'same c'
  ]);
});

it('finds what differs between two environments', () => {
  const environment = (python: string, packages: Record<string, string>) =>
    ({ python, packages, interpreter: '', prefix: '', cloudpickle: '' }) as any;
  expect(differences(environment('3.11', { a: '1', b: '1' }), environment('3.12', { a: '2', c: '1', b: '1' }))).toEqual([
    ['Python', '3.11', '3.12'],
    ['a', '1', '2'],
    ['c', '', '1']
  ]);
});

it('tells of a table or an array what it is, of other text its beginning', () => {
  const table = { type: 'DataFrame', repr: '   a\n0  1', shape: '1 rows × 1 columns' };
  expect(resultLine(table)).toBe('DataFrame 1 rows × 1 columns');
  expect(resultLine({ type: 'ndarray', repr: 'array([[1],\n [2]])', shape: '2×1 int64' })).toBe('ndarray 2×1 int64');
  expect(resultLine({ type: 'dict', repr: "{'a':\n 1}", shape: '1 item' })).toBe("{'a': …");
  expect(resultLine({ type: 'ndarray', repr: 'array([1])', shape: '1 int64' })).toBe('array([1])');
});

it('goes in the timeline from electron to electron, whatever their attempts', () => {
  const span = (node: number, from: number) => ({ attempt: { node } as Attempt, lane: 0, from, worked: from, to: from });
  const spans = [span(1, 0), span(2, 1), span(1, 2), span(1, 3), span(3, 4)];
  const walk = (step: -1 | 1, chosen: number | null): number[] => {
    const next = nextElectron(spans, chosen, step);
    return next === undefined ? [] : [next, ...walk(step, next)];
  };
  expect(walk(1, null)).toEqual([1, 2, 3]);
  expect(walk(-1, 3)).toEqual([2, 1]);
});

it('tells a result by its text, and those recorded without one by their parts', () => {
  const part = (node: number, path: string, repr: string) =>
    ({ node, name: 'e', path, status: 'COMPLETED', child: null, preview: { type: 'str', repr } }) as ResultPart;
  const some = { status: 'COMPLETED' as const, parts: [part(0, 'a', '1')], total: 1, whole: false };
  expect(resultPreview({ ...some, text: "{'a': 1, 'c': 5}", type: 'dict' })?.repr).toBe("{'a': 1, 'c': 5}");
  expect(resultPreview({ ...some, parts: [], total: 0, text: '5', type: 'int' })?.repr).toBe('5');
  expect(resultPreview({ ...some, total: 3 })?.repr).toBe('a: 1, … 2 more');
  expect(resultPreview({ ...some, parts: [part(0, '', "'x'")], whole: true })?.repr).toBe("'x'");
  expect(resultPreview({ ...some, parts: [] })).toBeNull();
  expect(resultPreview({ ...some, parts: [part(0, '', 'x'.repeat(99))] })?.repr).toMatch(/x…$/);
});

it('tells figures shortly', () => {
  expect([0.0001, 0.012, 0.84, 3.25, 31.2, 190].map(duration)).toEqual(['<1 ms', '12 ms', '0.84 s', '3.3 s', '31 s', '3:10']);
  expect([12, 1536, 24_000_000].map(bytes)).toEqual(['12 B', '1.5 kB', '24 MB']);
  expect([0.123456, 1234567.8, 5, 1e-9].map(short)).toEqual(['0.1235', '1.23e+6', '5', '1.00e-9']);
});

it('takes the run of a sublattice for its time, not its building', () => {
  const ran = { started: 100, ended: 120, duration: 0.2 };
  expect(spent(electron(0, ran), 200)).toBe(0.2);
  expect(spent(electron(0, { ...ran, child: 'a31d' }), 200)).toBe(20);
});

it('guesses what is left only when that is more than a guess', () => {
  const running = row('1', { status: 'RUNNING', ended: null, started: 0, counts: { total: 100, completed: 2 } });
  expect(secondsLeft(running, 10)).toBeNull();
  expect(secondsLeft({ ...running, counts: { total: 100, completed: 50 } }, 10)).toBe(10);
});

it('takes the step of a report for its place, where there is one', () => {
  expect(numbers([[0, 1, 0.5], [1, 2, null], [2, 3, 0.25]], [[0, 1, 10], [2, 3, 30]])).toEqual([
    [10, 0.5],
    [30, 0.25]
  ]);
});

describe('a scene', () => {
  const names = ['load', 'train', 'train', 'train', 'best'];
  const graph: Graph = {
    nodes: names.map((name, i) => [i, name, 'electron', 'COMPLETED', null]),
    edges: [1, 2, 3].flatMap(i => [[0, i, 'x'], [i, 4, 'xs']] as [number, number, string][])
  };
  const part: Part = { dispatch: 'd', graph, apart: () => false, inputsOf: () => '', errorOf: () => '', stamp: '' };
  const made = (open: string[] = []): Scene => {
    const steps = sceneSteps(part, { open: new Set(open), part: () => null, childOf: () => null }, 'right');
    for (;;) {
      const step = steps.next();
      if (step.done) {
        return step.value;
      }
    }
  };

  it('opens a stack as a grid with a cell for each electron', () => {
    const closed = made();
    expect(closed.shapes.map(shape => shape.role)).toEqual(['box', 'stack', 'box']);
    const open = made(['d/s1']);
    expect(open.shapes.map(shape => shape.role)).toEqual(['box', 'grid', 'cell', 'cell', 'cell', 'box']);
    const grid = open.shapes[1];
    open.shapes.slice(2, 5).forEach(cell => {
      expect(cell.x).toBeGreaterThan(grid.x);
      expect(cell.x + cell.width).toBeLessThan(grid.x + grid.width);
      expect(cell.y + cell.height).toBeLessThan(grid.y + grid.height);
    });
  });

  it('finds shapes by electron, by place and by arrow key', () => {
    const scene = made(['d/s1']);
    const cell = shapeFor(scene, 'd', 2)!;
    expect(cell.role).toBe('cell');
    expect(shapeFor(made(), 'd', 2)?.role).toBe('stack');
    expect(shapeAt(scene, cell.x + 2, cell.y + 2)).toBe(cell);
    expect(neighbour(scene, scene.shapes[0], 'ArrowLeft')).toBeNull();
    expect(neighbour(made(), made().shapes[0], 'ArrowRight')?.role).toBe('stack');
  });

  it('lays nothing out for nothing', () => {
    expect(layout([], []).width).toBe(0);
  });
});

describe('what is drawn', () => {
  let place: HTMLElement;

  function draw(view: React.ReactElement, actions: Actions = {}): HTMLElement {
    place = document.createElement('div');
    document.body.append(place);
    const value = { trans: plainTrans, actions, source: null as any };
    createRoot(place).render(React.createElement(SurroundingsProvider, { value }, view));
    return place;
  }

  afterEach(() => place.remove());

  it('shows HTML of a value only through the sanitizer that was handed in', async () => {
    const preview = { type: 'x', repr: 'the repr', mime: { 'text/html': '<b id="evil">x</b>' } };
    const bare = draw(React.createElement(PreviewView, { preview }));
    await vi.waitFor(() => expect(bare.textContent).toContain('the repr'));
    expect(bare.querySelector('#evil')).toBeNull();
    bare.remove();
    const clean = draw(React.createElement(PreviewView, { preview }), { sanitize: html => html.replace(' id="evil"', '') });
    await vi.waitFor(() => expect(clean.querySelector('b')?.textContent).toBe('x'));
    expect(clean.querySelector('#evil')).toBeNull();
  });

  it('shows no picture that is not base64', async () => {
    const preview = { type: 'x', repr: 'the repr', mime: { 'image/png': '" onerror="alert(1)' } };
    const view = draw(React.createElement(PreviewView, { preview }));
    await vi.waitFor(() => expect(view.textContent).toContain('the repr'));
    expect(view.querySelector('img')).toBeNull();
  });

  it('shows source as text', async () => {
    const view = draw(React.createElement(Source, { text: '"<img src=x>"  # <b>' }));
    await vi.waitFor(() => expect(view.textContent).toBe('"<img src=x>"  # <b>'));
    expect(view.querySelector('img, b')).toBeNull();
  });
});

describe('the graph', () => {
  const nodes = [0, 1, 2].map(node => [node, 'train', 'electron', 'COMPLETED', null] as Graph['nodes'][0]);
  const model = {
    id: 'd', revision: 1, row: null, total: 3, graph: { nodes, edges: [] },
    changed: { connect: () => undefined, disconnect: () => undefined },
    electrons: new Map(nodes.map(([node]) => [node, anElectron(node)])),
    statusOf: () => 'COMPLETED', inputsOf: (node: number) => `k=${node}`, givenOf: (node: number) => `k=${node}`, want: () => undefined, now: () => 0
  } as unknown as DispatchModel;
  const kept: { current: GraphState | null } = { current: null };
  let place: HTMLElement;

  beforeEach(() => void vi.spyOn(HTMLCanvasElement.prototype, 'getContext').mockReturnValue(null));
  afterEach(() => vi.restoreAllMocks());

  function draw(): () => void {
    place = document.createElement('div');
    document.body.append(place);
    const value = { trans: plainTrans, actions: {}, source: null as any };
    const view = React.createElement(GraphView, { model, chosen: null, onChoose: () => undefined, kept });
    const root = createRoot(place);
    root.render(React.createElement(SurroundingsProvider, { value }, view));
    return () => {
      root.unmount();
      place.remove();
    };
  }

  const canvas = () => place.querySelector<HTMLElement>('.cv-canvas')!;
  const press = (target: HTMLElement, key: string) =>
    target.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true }));
  const shown = (n: number) => vi.waitFor(() => expect(place.querySelectorAll('[role=option]')).toHaveLength(n));

  it('remembers what is open and searched for while another tab is shown', async () => {
    let close = draw();
    await shown(1);
    press(canvas(), 'ArrowRight');
    await vi.waitFor(() => expect(canvas().getAttribute('aria-activedescendant')).toBe('cv-shape-d/s0'));
    press(canvas(), ' ');
    await shown(4);
    press(canvas(), '/');
    await vi.waitFor(() => expect(place.querySelector('.cv-search')).not.toBeNull());
    expect(kept.current?.open.size).toBe(1);
    close();
    close = draw();
    await shown(4);
    expect(place.querySelector('.cv-search')).not.toBeNull();
    close();
  });

  it('has the keyboard again when a search is left', async () => {
    const close = draw();
    await vi.waitFor(() => expect(place.querySelector('.cv-search')).not.toBeNull());
    press(place.querySelector<HTMLElement>('.cv-search')!, 'Escape');
    await vi.waitFor(() => expect(place.querySelector('.cv-search')).toBeNull());
    expect(document.activeElement).toBe(canvas());
    close();
  });
});
