import { Filter, groupOf, Grouping } from './filter';
import { hasEnded } from './states';
import { DispatchRow, Group, Summary } from './types';

/** One dispatch more (1) or less (-1) of those that are counted. */
interface Step {
  seq: number;
  row: DispatchRow;
  by: 1 | -1;
}

/**
 * How many dispatches there are, as of what was told last: what the service has counted, and what has changed since.
 *
 * A count of the service is as of a number; a change that has a higher one is not in it.
 */
export class Tally {
  /** What the service has counted. `anew`: for another question, so that steps taken before say nothing about it. */
  take(summary: Summary, grouping: Grouping, anew: boolean): void {
    this._counted = summary;
    this._grouping = grouping;
    this._steps = anew ? [] : this._steps.filter(step => step.seq > summary.seq);
  }

  /** A dispatch was (`before`) or is (`after`) one of those that are counted, as of a number. */
  move(seq: number, before: DispatchRow | undefined, after: DispatchRow | undefined): void {
    if (before) {
      this._steps.push({ seq, row: before, by: -1 });
    }
    if (after) {
      this._steps.push({ seq, row: after, by: 1 });
    }
  }

  get summary(): Summary {
    const steps = this._steps.filter(step => step.seq > this._counted.seq);
    if (steps.length === 0) {
      return this._counted;
    }
    const states = { ...this._counted.states };
    const groups = new Map(this._counted.groups.map(group => [group.key, { ...group }]));
    for (const { row, by } of steps) {
      states[row.status] = (states[row.status] ?? 0) + by;
      if (this._grouping !== 'day') {
        const key = groupOf(row, this._grouping);
        groups.set(key, moved(groups.get(key) ?? { ...NOBODY, key }, row, by));
      }
    }
    const found = [...groups.values()].filter(group => group.total > 0);
    return { ...this._counted, states, groups: found.sort((a, b) => b.newest - a.newest) };
  }

  private _counted: Summary = { states: {}, groups: [], seq: 0 };
  private _grouping: Grouping = 'day';
  private _steps: Step[] = [];
}

const NOBODY: Omit<Group, 'key'> = { total: 0, running: 0, failed: 0, completed: 0, cancelled: 0, newest: 0 };

function moved(group: Group, row: DispatchRow, by: number): Group {
  const one = (status: string) => (row.status === status ? by : 0);
  return {
    ...group,
    total: group.total + by,
    running: group.running + (hasEnded(row) ? 0 : by),
    failed: group.failed + one('FAILED'),
    completed: (group.completed ?? 0) + one('COMPLETED'),
    cancelled: (group.cancelled ?? 0) + one('CANCELLED'),
    newest: Math.max(group.newest, row.created)
  };
}

/** The filter by which dispatches are counted: in all states, so that each chip can say how many it would leave. */
export function countingFilter(filter: Filter): Filter {
  return { ...filter, state: 'all' };
}
