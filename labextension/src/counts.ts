import { counted, Filter, Grouping, NO_TOTALS, summaryQueryOf, Totals } from './filter';
import { ISource } from './source';
import { Tally } from './tally';
import { DispatchRow, Group, Summary } from './types';

/** Time from a change to the next count by the service, in ms. */
const COUNT_AFTER = 1000;

/** Which dispatches are counted, and in which groups. */
export interface Question {
  filter: Filter;
  grouping: Grouping;
}

/** How many dispatches match, in all and by group: as the service counts them, now and then, and as they change meanwhile. */
export class Counts {
  /** `heard` is called with each count that nobody has waited for, or with why there is none. */
  constructor(
    private readonly source: ISource,
    private readonly question: () => Question,
    private readonly heard: (error?: unknown) => void
  ) {}

  get totals(): Totals {
    return this._totals;
  }

  /** How many have ended. */
  get past(): number {
    return this._past;
  }

  get groups(): readonly Group[] {
    return this._groups;
  }

  /** Ask another question; the counts stay until `begin` gets the answer. */
  anew(): Promise<Summary> {
    this._generation += 1;
    return this.ask();
  }

  /** The counts are those of this answer. */
  begin(summary: Summary): void {
    this._tally.take(summary, this.question().grouping, true);
    this.renew();
  }

  /** A dispatch was, or is, one of those that are counted, as of a number; `renew` shows it. */
  move(seq: number, before: DispatchRow | undefined, after: DispatchRow | undefined): void {
    this._tally.move(seq, before, after);
  }

  renew(): void {
    const { totals, past, groups } = counted(this._tally.summary, this.question().filter);
    this._totals = totals;
    this._past = past;
    this._groups = groups;
  }

  /** Have the service count again before long. */
  soon(): void {
    if (this._timer === 0) {
      this._timer = window.setTimeout(() => void this.again(), COUNT_AFTER);
    }
  }

  dispose(): void {
    this._generation += 1;
    window.clearTimeout(this._timer);
  }

  private ask(): Promise<Summary> {
    const { filter, grouping } = this.question();
    const by = grouping === 'day' ? '' : grouping;
    return this.source.request<Summary>('summary', { ...summaryQueryOf(filter), by });
  }

  private async again(): Promise<void> {
    this._timer = 0;
    const generation = this._generation;
    const [summary, error] = await this.ask().then(
      answer => [answer, undefined] as const,
      reason => [undefined, reason as unknown] as const
    );
    if (generation !== this._generation) {
      return; // of another question
    }
    if (summary) {
      this._tally.take(summary, this.question().grouping, false);
      this.renew();
    }
    this.heard(error);
  }

  private readonly _tally = new Tally();
  private _totals: Totals = NO_TOTALS;
  private _past = 0;
  private _groups: Group[] = [];
  private _generation = 0;
  private _timer = 0;
}
