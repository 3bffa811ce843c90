import { Graph } from '../../types';

/** What stands as one box: an electron, or (`nodes` has several) a stack of equal siblings. */
export interface Group {
  /** The same for the same electrons, whatever else changes. */
  key: string;
  nodes: number[];
  name: string;
  kind: string;
}

/** An edge between groups, by index. */
export interface GroupEdge {
  from: number;
  to: number;
  /** Parameters, where the consumer has more than one. */
  label: string;
}

export interface Collapsed {
  groups: Group[];
  edges: GroupEdge[];
}

/** Electrons of one stack that step out one by one; more of them make a stack of their own. */
const MOST_APART = 6;

/**
 * Equal siblings become one group: electrons of the same name and kind whose ancestors, and whose descendants, look alike.
 *
 * Those for which `apart` holds (failed ones) step out of their stack, up to a number; those for which `alone` holds (opened
 * sublattices) always do. What was named alike but is fed differently stays apart.
 */
export function collapse(
  graph: Graph,
  apart: (node: number) => boolean,
  alone: (node: number) => boolean = () => false
): Collapsed {
  const topology = new Topology(graph);
  const classes = topology.classes();
  const members = new Map<number, number[]>();
  classes.forEach((kind, index) => {
    const list = members.get(kind);
    if (list) {
      list.push(index);
    } else {
      members.set(kind, [index]);
    }
  });
  const groupOf = new Int32Array(graph.nodes.length);
  const groups: Group[] = [];
  const add = (key: string, indices: number[]) => {
    const [, name, kind] = graph.nodes[indices[0]];
    indices.forEach(index => (groupOf[index] = groups.length));
    groups.push({ key, nodes: indices.map(index => graph.nodes[index][0]), name, kind });
  };
  for (const all of members.values()) {
    const first = graph.nodes[all[0]][0];
    if (all.length === 1) {
      add(`n${first}`, all);
      continue;
    }
    const [single, out, rest]: number[][] = [[], [], []];
    for (const index of all) {
      const [node] = graph.nodes[index];
      (alone(node) ? single : apart(node) ? out : rest).push(index);
    }
    if (rest.length > 0) {
      add(rest.length === 1 ? `n${graph.nodes[rest[0]][0]}` : `s${first}`, rest);
    }
    if (out.length > MOST_APART) {
      add(`f${first}`, out);
    } else {
      out.forEach(index => add(`n${graph.nodes[index][0]}`, [index]));
    }
    single.forEach(index => add(`n${graph.nodes[index][0]}`, [index]));
  }
  return { groups, edges: joined(topology, groupOf) };
}

/** One edge between two groups, with the names of its parameters where the consumer tells several apart. */
function joined(topology: Topology, groupOf: Int32Array): GroupEdge[] {
  const found = new Map<number, { from: number; to: number; labels: Set<string> }>();
  topology.edges.forEach(([from, to, label]) => {
    const [a, b] = [groupOf[from], groupOf[to]];
    const key = a * groupOf.length + b;
    let known = found.get(key);
    if (!known) {
      known = { from: a, to: b, labels: new Set() };
      found.set(key, known);
    }
    if (label) {
      known.labels.add(label);
    }
  });
  const edges = [...found.values()].map(({ from, to, labels }) => ({ from, to, label: named(labels) }));
  const names = new Map<number, Set<string>>();
  edges.forEach(({ to, label }) => label && names.set(to, (names.get(to) ?? new Set()).add(label)));
  return edges.map(edge => ((names.get(edge.to)?.size ?? 0) > 1 || edge.label.includes(', ') ? edge : { ...edge, label: '' }));
}

/** Several of `*args` bear its name, one of them its number too. */
function named(labels: ReadonlySet<string>): string {
  return [...(labels.size > 1 ? new Set([...labels].map(argumentOf)) : labels)].join(', ');
}

/** "xs" for "xs[3]", what `*xs` got in this place: a place makes no other parameter of it. */
function argumentOf(label: string): string {
  return label.replace(/\[\d+\]$/, '');
}

/** The graph with nodes by index, parents before children. */
class Topology {
  /** From, to (indices), parameter. */
  readonly edges: [number, number, string][] = [];

  constructor(private readonly graph: Graph) {
    const index = new Map(graph.nodes.map(([node], i) => [node, i]));
    this.parents = graph.nodes.map(() => []);
    this.children = graph.nodes.map(() => []);
    for (const [from, to, label] of graph.edges) {
      const [a, b] = [index.get(from), index.get(to)];
      if (a !== undefined && b !== undefined && a !== b) {
        this.edges.push([a, b, label]);
        this.children[a].push(this.edges.length - 1);
        this.parents[b].push(this.edges.length - 1);
      }
    }
  }

  /** A number per node: equal for those that look alike from above and from below. */
  classes(): number[] {
    const order = this.sorted();
    const numbers = new Map<string, number>();
    const number = (text: string) => {
      const known = numbers.get(text);
      if (known !== undefined) {
        return known;
      }
      numbers.set(text, numbers.size);
      return numbers.size - 1;
    };
    const up = new Array<number>(order.length).fill(-1);
    const down = new Array<number>(order.length).fill(-1);
    for (const i of order) {
      const [, name, kind] = this.graph.nodes[i];
      const seen = this.parents[i].map(e => `${up[this.edges[e][0]]}:${argumentOf(this.edges[e][2])}`);
      up[i] = number(`u\u0000${name}\u0000${kind}\u0000${counted(seen)}`);
    }
    for (let at = order.length - 1; at >= 0; at--) {
      const i = order[at];
      const seen = this.children[i].map(e => `${down[this.edges[e][1]]}:${argumentOf(this.edges[e][2])}`);
      down[i] = number(`d\u0000${this.graph.nodes[i][1]}\u0000${counted(seen)}`);
    }
    return up.map((u, i) => number(`c${u},${down[i]}`));
  }

  private sorted(): number[] {
    const left = this.parents.map(list => list.length);
    const order: number[] = [];
    left.forEach((n, i) => n === 0 && order.push(i));
    for (let at = 0; at < order.length; at++) {
      for (const e of this.children[order[at]]) {
        const to = this.edges[e][1];
        left[to] -= 1;
        if (left[to] === 0) {
          order.push(to);
        }
      }
    }
    // a graph of the service has no cycle; whatever else comes is drawn all the same
    left.forEach((n, i) => n > 0 && order.push(i));
    return order;
  }

  private readonly parents: number[][];
  private readonly children: number[][];
}

/** The texts in order, each once with its number: ten thousand equal parents are one short text. */
function counted(texts: string[]): string {
  const counts = new Map<string, number>();
  texts.forEach(text => counts.set(text, (counts.get(text) ?? 0) + 1));
  return [...counts]
    .map(([text, n]) => `${text}*${n}`)
    .sort()
    .join(';');
}
