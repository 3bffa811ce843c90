import { describe, expect, it } from 'vitest';

import { Graph } from '../types';
import { collapse } from '../views/graph/collapse';
import { Box, layout, layoutSteps, spread } from '../views/graph/layout';

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
