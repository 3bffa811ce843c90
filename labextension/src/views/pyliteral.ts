/** A value as its repr tells it. */
export type Literal =
  | { kind: 'atom'; text: string; tone: 'number' | 'text' | 'name' | 'other' }
  | { kind: 'sequence'; open: string; close: string; items: Literal[] }
  | { kind: 'map'; items: [Literal, Literal][] };

const ATOM = /[^\s,:[\](){}'"]+/y;
const STRING = /[bBrRuU]{0,2}(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")/y;
const PAIRS: Record<string, string> = { '[': ']', '(': ')', '{': '}' };
/** Reprs nest no deeper than this here. */
const DEEPEST = 60;

/** The value of a Python repr of lists, tuples, sets, dicts and what is in them; null if it is anything else. */
export function parseLiteral(text: string): Literal | null {
  try {
    const reader = new Reader(text.trim());
    const value = reader.value(0);
    return reader.atEnd() && value.kind !== 'atom' ? value : null;
  } catch (error) {
    if (error instanceof Unreadable) {
      return null;
    }
    throw error;
  }
}

class Unreadable extends Error {}

class Reader {
  constructor(private readonly text: string) {}

  atEnd(): boolean {
    this.space();
    return this.at >= this.text.length;
  }

  value(depth: number): Literal {
    if (depth > DEEPEST) {
      throw new Unreadable();
    }
    this.space();
    const open = this.text[this.at];
    if (open in PAIRS) {
      this.at += 1;
      return this.container(open, PAIRS[open], depth);
    }
    const string = this.match(STRING);
    if (string !== null) {
      return { kind: 'atom', text: string, tone: 'text' };
    }
    const atom = this.match(ATOM);
    if (atom === null) {
      throw new Unreadable();
    }
    if (this.text[this.at] === '(') {
      const close = this.closing();
      return { kind: 'atom', text: atom + close, tone: 'other' }; // array([...]), datetime.date(...)
    }
    const tone = /^[-+\d.]|^(nan|inf)$/.test(atom) ? 'number' : /^(True|False|None)$/.test(atom) ? 'name' : 'other';
    return { kind: 'atom', text: atom, tone };
  }

  private container(open: string, close: string, depth: number): Literal {
    const items: Literal[] = [];
    const pairs: [Literal, Literal][] = [];
    for (;;) {
      this.space();
      if (this.text[this.at] === close) {
        this.at += 1;
        const empty = items.length === 0 && open === '{';
        return pairs.length > 0 || empty ? { kind: 'map', items: pairs } : { kind: 'sequence', open, close, items };
      }
      const item = this.value(depth + 1);
      this.space();
      if (open === '{' && this.text[this.at] === ':') {
        this.at += 1;
        pairs.push([item, this.value(depth + 1)]);
      } else {
        items.push(item);
      }
      this.space();
      if (this.text[this.at] === ',') {
        this.at += 1;
      } else if (this.text[this.at] !== close) {
        throw new Unreadable();
      }
      if (pairs.length > 0 && items.length > 0) {
        throw new Unreadable();
      }
    }
  }

  /** From an opening bracket to where it closes. */
  private closing(): string {
    const from = this.at;
    let depth = 0;
    while (this.at < this.text.length) {
      if (this.match(STRING) !== null) {
        continue;
      }
      const sign = this.text[this.at++];
      depth += sign in PAIRS ? 1 : ')]}'.includes(sign) ? -1 : 0;
      if (depth === 0) {
        return this.text.slice(from, this.at);
      }
    }
    throw new Unreadable();
  }

  private match(pattern: RegExp): string | null {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text);
    if (!found) {
      return null;
    }
    this.at += found[0].length;
    return found[0];
  }

  private space(): void {
    while (/\s/.test(this.text[this.at] ?? '')) {
      this.at += 1;
    }
  }

  private at = 0;
}
