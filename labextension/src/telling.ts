import { Graph } from './types';

/** Characters of a value beyond which what it shares with those of its siblings is cut out. */
const LONG = 14;
/** Characters that are kept of a shared beginning or end: from the last separator among them on. */
const KEPT = 9;
const LEAST = 3;
const SEPARATORS = '/\\ -_.,';

/**
 * What tells each electron from its siblings, which are those of the same name: the inputs in which they differ, "C=0.1".
 *
 * Long values that begin or end alike are cut there: "path='…/part-7.csv'". An electron without siblings has all of its inputs.
 */
export function telling(graph: Graph): Map<number, string> {
  const families = new Map<string, number[]>();
  for (const [node, name] of graph.nodes) {
    const family = families.get(name);
    if (family) {
      family.push(node);
    } else {
      families.set(name, [node]);
    }
  }
  const found = new Map<number, string>();
  for (const family of families.values()) {
    if (family.length === 1) {
      found.set(family[0], graph.inputs?.[family[0]] ?? '');
    } else {
      differing(family, graph.inputs ?? {}).forEach((text, node) => found.set(node, text));
    }
  }
  return found;
}

function differing(family: readonly number[], inputs: Record<string, string>): Map<number, string> {
  const given = new Map(family.map(node => [node, new Map(partsOf(inputs[node] ?? ''))]));
  const names = new Set([...given.values()].flatMap(parts => [...parts.keys()]));
  const texts = new Map<number, string[]>(family.map(node => [node, []]));
  for (const name of names) {
    const values = family.map(node => given.get(node)!.get(name));
    const distinct = new Set(values);
    if (distinct.size < 2) {
      continue;
    }
    distinct.delete(undefined);
    const short = shortened([...distinct] as string[]);
    family.forEach((node, i) => {
      if (values[i] !== undefined) {
        texts.get(node)!.push(`${name}=${short(values[i]!)}`);
      }
    });
  }
  return new Map([...texts].map(([node, list]) => [node, list.join(', ')]));
}

/** Cuts out what these values share, where they are long. */
function shortened(values: readonly string[]): (value: string) => string {
  if (values.length < 2 || values.every(value => value.length <= LONG || /^[-+\d.]/.test(value))) {
    return value => value;
  }
  const least = values.reduce((length, value) => Math.min(length, value.length), Infinity);
  const from = shared(values, least, (value, i) => value[i]);
  const to = shared(values, least - from, (value, i) => value[value.length - 1 - i]);
  return value => {
    const [start, end] = [value.slice(0, from), value.slice(value.length - to)];
    return `${headless(start)}${value.slice(from, value.length - to)}${tailless(end)}`;
  };
}

/** Characters that are the same in all. */
function shared(values: readonly string[], most: number, at: (value: string, i: number) => string): number {
  let count = 0;
  while (count < most && values.every(value => at(value, count) === at(values[0], count))) {
    count += 1;
  }
  return count;
}

/** A shared beginning: its quote, and what lies behind the last separator. */
function headless(text: string): string {
  let from = text.length - LEAST;
  while (from > text.length - KEPT && !SEPARATORS.includes(text[from])) {
    from -= 1;
  }
  const kept = SEPARATORS.includes(text[from]) ? text.slice(from) : text.slice(-LEAST);
  return cut(text, /^['"]/.exec(text)?.[0] ?? text.slice(0, LEAST), kept);
}

function tailless(text: string): string {
  return text.length <= KEPT ? text : cut(text, text.slice(0, LEAST), /['"]$/.exec(text)?.[0] ?? '');
}

/** With an ellipsis where that is shorter. */
function cut(text: string, start: string, end: string): string {
  return start.length + 1 + end.length < text.length ? `${start}…${end}` : text;
}

const NAMED = /^, (?=[\p{L}_][\p{L}\p{N}_]*=)/u;

/** "C=0.1, path='a, b'" as pairs of names and values. */
export function partsOf(text: string): [string, string][] {
  const pieces: string[] = [];
  let [begun, depth, quote] = [0, 0, ''];
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quote) {
      if (c === '\\') {
        i += 1;
      } else if (c === quote) {
        quote = '';
      }
    } else if (c === "'" || c === '"') {
      quote = c;
    } else if ('([{'.includes(c)) {
      depth += 1;
    } else if (')]}'.includes(c)) {
      depth -= 1;
    } else if (c === ',' && depth === 0 && NAMED.test(text.slice(i, i + 80))) {
      pieces.push(text.slice(begun, i));
      begun = i + 2;
    }
  }
  pieces.push(text.slice(begun));
  // what was cut short may have lost its closing quote or bracket
  const whole = quote === '' && depth === 0;
  return (whole ? pieces : text.split(/, (?=[\p{L}_][\p{L}\p{N}_]*=)/u))
    .filter(piece => piece.includes('='))
    .map(piece => [piece.slice(0, piece.indexOf('=')), piece.slice(piece.indexOf('=') + 1)]);
}
