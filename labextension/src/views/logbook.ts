import { folded, Span, spansOf } from './ansi';

export type Stream = 'stdout' | 'stderr';

export interface LogLine {
  node: number;
  stream: Stream;
  spans: Span[];
  /** A remark of ours, not something printed. */
  remark?: boolean;
}

/** Lines that are kept; of more, the last. */
export const MOST_LINES = 100_000;

interface Open {
  /** The text of the line that has not ended. */
  text: string;
  line: LogLine | null;
  style: object;
}

/**
 * What electrons have printed, as lines in the order in which it came. A line that has not ended grows in its place, and
 * what a carriage return begins anew takes the place of what was there.
 */
export class Logbook {
  readonly lines: LogLine[] = [];

  /** Lines that were dropped from the beginning. */
  dropped = 0;

  /** Grows with every change. */
  revision = 0;

  add(node: number, stream: Stream, text: string): void {
    if (!text) {
      return;
    }
    const key = `${node} ${stream}`;
    const open = this.open.get(key) ?? { text: '', line: null, style: {} };
    const pieces = (open.text + text.replace(/\r\n/g, '\n')).split('\n');
    pieces.forEach((piece, i) => {
      const last = i === pieces.length - 1;
      if (last && piece === '') {
        open.text = '';
        open.line = null;
        return;
      }
      const { spans, style } = spansOf(folded(piece), open.style);
      if (i === 0 && open.line) {
        open.line.spans = spans;
      } else {
        open.line = { node, stream, spans };
        this.lines.push(open.line);
      }
      if (last) {
        open.text = piece.length > 10_000 ? folded(piece) : piece;
      } else {
        open.text = '';
        open.line = null;
        open.style = style;
      }
    });
    this.open.set(key, open);
    this.trim();
    this.revision += 1;
  }

  remark(node: number, stream: Stream, text: string): void {
    this.lines.push({ node, stream, spans: [{ text }], remark: true });
    this.revision += 1;
  }

  /** All of it as plain text; with several electrons, each line says whose it is. */
  text(lines: readonly LogLine[], nameOf: (node: number) => string): string {
    const several = new Set(lines.map(line => line.node)).size > 1;
    return lines
      .map(line => `${several ? `[${nameOf(line.node)} ${line.node}] ` : ''}${line.spans.map(span => span.text).join('')}\n`)
      .join('');
  }

  private trim(): void {
    const extra = this.lines.length - MOST_LINES;
    if (extra > MOST_LINES / 10) {
      this.lines.splice(0, extra);
      this.dropped += extra;
    }
  }

  private readonly open = new Map<string, Open>();
}
