/** A value as its repr tells it. */
export type Literal =
  | { kind: 'atom'; text: string; tone: 'number' | 'text' | 'name' | 'other' }
  /** `more`: there were more than the repr tells. */
  | { kind: 'sequence'; open: string; close: string; items: Literal[]; more?: boolean }
  | { kind: 'map'; items: [Literal, Literal][]; more?: boolean };

const ATOM = /[^\s,:[\](){}'"]+/y;
const STRING = /[bBrRuU]{0,2}(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")/y;
/** "<numpy.ndarray, 3×4>" */
const OBJECT = /<[^<>]*(?:<[^<>]*>[^<>]*)*>/y;
/** Stands for what a repr leaves out, and at the end of a text that was cut. */
const DOTS = '...';
const PAIRS: Record<string, string> = { '[': ']', '(': ')', '{': '}' };
/** Reprs nest no deeper than this here. */
const DEEPEST = 60;

/**
 * The value of a Python repr of lists, tuples, sets, dicts and what is in them; null if it is anything else. Of one that
 * was cut at its end, what stands before.
 */
export function parseLiteral(text: string): Literal | null {
  const trimmed = text.trim();
  const cut = trimmed.endsWith(DOTS);
  try {
    const reader = new Reader(cut ? trimmed.slice(0, -DOTS.length) : trimmed, cut);
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

/** The text ends within a value. */
class Cut extends Unreadable {}

class Reader {
  constructor(
    private readonly text: string,
    private readonly cut: boolean
  ) {}

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
    const object = this.match(OBJECT);
    if (object !== null) {
      return { kind: 'atom', text: object, tone: 'other' };
    }
    const string = this.match(STRING);
    if (string !== null) {
      return { kind: 'atom', text: string, tone: 'text' };
    }
    const atom = this.match(ATOM);
    if (this.cut && (this.atEnd() || (atom === null && /['"<]/.test(open)))) {
      throw new Cut();
    }
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
    const done = (more: boolean): Literal => {
      const rest = more ? { more } : {};
      const empty = items.length === 0 && open === '{' && !more;
      return pairs.length > 0 || empty ? { kind: 'map', items: pairs, ...rest } : { kind: 'sequence', open, close, items, ...rest };
    };
    let more = false;
    for (;;) {
      this.space();
      if (this.text[this.at] === close) {
        this.at += 1;
        return done(more);
      }
      if (this.text.startsWith(DOTS, this.at)) {
        this.at += DOTS.length;
        more = true;
        continue;
      }
      try {
        this.member(open, depth, items, pairs);
      } catch (error) {
        if (error instanceof Cut) {
          this.at = this.text.length;
          return done(true);
        }
        throw error;
      }
      this.space();
      if (this.text[this.at] === ',') {
        this.at += 1;
      } else if (this.text[this.at] !== close && !(this.cut && this.atEnd())) {
        throw new Unreadable();
      }
      if (pairs.length > 0 && items.length > 0) {
        throw new Unreadable();
      }
    }
  }

  private member(open: string, depth: number, items: Literal[], pairs: [Literal, Literal][]): void {
    const item = this.value(depth + 1);
    this.space();
    if (open === '{' && this.text[this.at] === ':') {
      this.at += 1;
      pairs.push([item, this.value(depth + 1)]);
    } else if (open === '{' && this.cut && this.atEnd()) {
      throw new Cut();
    } else {
      items.push(item);
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
    throw this.cut ? new Cut() : new Unreadable();
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
