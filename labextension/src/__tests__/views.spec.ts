import * as React from 'react';
import { createRoot } from 'react-dom/client';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { ElectronRow } from '../types';
import { columnsOf, sorted } from '../views/columns';
import { Actions, plainTrans, SurroundingsProvider } from '../views/context';
import { numbers, short } from '../views/curves';
import { diff } from '../views/diff';
import { bytes, duration, secondsLeft } from '../views/figures';
import { Graph } from '../types';
import { Attempt, lanesOf, tickStep, ticksOf } from '../views/lanes';
import { layout } from '../views/graph/layout';
import { neighbour, Part, Scene, sceneSteps, shapeAt, shapeFor } from '../views/graph/scene';
import { PreviewView, Source } from '../views/preview';
import { parseLiteral } from '../views/pyliteral';
import { tokens } from '../views/python';
import { differences } from '../views/versions';
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

  it('stay text where they are not, or were cut', () => {
    for (const text of ['5', "'text'", '<object at 0x1>', "{'a': [1, 2...", '[1, 2', '[1 2]', '[[['.repeat(100)]) {
      expect(parseLiteral(text)).toBeNull();
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

it('tells figures shortly', () => {
  expect([0.0001, 0.012, 0.84, 3.25, 31.2, 190].map(duration)).toEqual(['<1 ms', '12 ms', '0.84 s', '3.3 s', '31 s', '3:10']);
  expect([12, 1536, 24_000_000].map(bytes)).toEqual(['12 B', '1.5 kB', '24 MB']);
  expect([0.123456, 1234567.8, 5, 1e-9].map(short)).toEqual(['0.1235', '1.23e+6', '5', '1.00e-9']);
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
  const part: Part = { dispatch: 'd', graph, apart: () => false, inputsOf: () => '', stamp: '' };
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
