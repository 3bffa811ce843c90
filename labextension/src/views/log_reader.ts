import { ISignal, Signal } from '@lumino/signaling';

import { DispatchModel } from '../dispatch';
import { ElectronRow } from '../types';
import { bytes } from './figures';
import { Logbook, Stream } from './logbook';

/** Bytes that are read at once. */
const PIECE = 256 * 1024;
/** Of the logs of all electrons, the last bytes of each. */
const TAIL = 32 * 1024;
/** Files that are read while all electrons are shown. */
const MOST_FILES = 100;

const STREAMS: Stream[] = ['stdout', 'stderr'];

/**
 * Reads what the electrons of a dispatch (or one of them) have printed, and goes on reading while they print.
 *
 * Short logs of ended electrons came with their rows; everything else is read by offset, one piece at a time.
 */
export class LogReader {
  readonly book = new Logbook();

  constructor(
    private readonly model: DispatchModel,
    /** Null: all. */
    private readonly node: number | null
  ) {
    model.changed.connect(this.look, this);
    this.look();
  }

  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Why something could not be read, "" while all is well. */
  get problem(): string {
    return this._problem;
  }

  /** Whether something that was printed is on its way. */
  get busy(): boolean {
    return this.due.size > 0;
  }

  dispose(): void {
    this.disposed = true;
    this.model.changed.disconnect(this.look, this);
    Signal.clearData(this);
  }

  private look(): void {
    if (this.model.revision === this.seen && this.model.logs.size === 0) {
      return;
    }
    this.seen = this.model.revision;
    const rows = this.node === null ? [...this.model.electrons.values()] : [this.model.electrons.get(this.node)];
    const changed = this.book.revision;
    rows
      .filter((row): row is ElectronRow => row !== undefined && row.attempt > 0)
      .sort((a, b) => (a.started ?? Infinity) - (b.started ?? Infinity) || a.node - b.node)
      .forEach(row => STREAMS.forEach(stream => this.take(row, stream)));
    if (this.book.revision !== changed) {
      this._changed.emit();
    }
    void this.read();
  }

  private take(row: ElectronRow, stream: Stream): void {
    const [text = '', size = 0, file = ''] = row[stream];
    const live = this.model.logs.get(row.node);
    const printed = Math.max(size, (live?.attempt === row.attempt && live[`${stream}_size`]) || 0);
    const key = `${row.node} ${row.attempt} ${stream}`;
    const known = this.offsets.get(key);
    if (printed === 0 || (known !== undefined && known >= printed)) {
      return;
    }
    if (known === undefined && text && !file && row.ended !== null) {
      this.offsets.set(key, printed);
      this.book.add(row.node, stream, text.endsWith('\n') ? text : `${text}\n`);
      return;
    }
    if (known === undefined) {
      if (this.node === null && this.files >= MOST_FILES) {
        return;
      }
      this.files += 1;
      const from = this.node === null && printed > TAIL ? printed - TAIL : 0;
      if (from > 0) {
        this.book.remark(row.node, stream, `… ${bytes(from)} before; choose the electron to see them`);
      }
      this.offsets.set(key, from);
    }
    this.due.set(key, { row, stream, upto: printed });
  }

  private async read(): Promise<void> {
    if (this.reading) {
      return;
    }
    this.reading = true;
    while (this.due.size > 0 && !this.disposed) {
      const [key, { row, stream, upto }] = this.due.entries().next().value as [
        string,
        { row: ElectronRow; stream: Stream; upto: number }
      ];
      try {
        const offset = this.offsets.get(key) ?? 0;
        const piece = await this.model.source.text(
          `dispatches/${this.model.id}/electrons/${row.node}/${stream}`,
          { attempt: row.attempt, offset, limit: PIECE }
        );
        const next = piece.next ?? offset + new TextEncoder().encode(piece.text).length;
        this.offsets.set(key, next);
        this.book.add(row.node, stream, piece.text);
        this._problem = '';
        if (next >= upto || next === offset) {
          this.due.delete(key);
        }
      } catch (error) {
        this.due.delete(key);
        this._problem = error instanceof Error ? error.message : String(error);
      }
      this._changed.emit();
    }
    this.reading = false;
  }

  private readonly _changed = new Signal<this, void>(this);
  private readonly offsets = new Map<string, number>();
  private readonly due = new Map<string, { row: ElectronRow; stream: Stream; upto: number }>();
  private _problem = '';
  private files = 0;
  private seen = -1;
  private reading = false;
  private disposed = false;
}
