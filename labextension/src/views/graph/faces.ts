import { DispatchModel } from '../../dispatch';
import { elapsed } from '../../format';
import { Status } from '../../types';
import { Trans } from '../context';
import { duration, spent } from '../figures';
import { isEnded, stateFor } from '../../states';
import { Face } from './paint';
import { Shape } from './scene';

/** What the shapes of a scene say, remembered until something has changed. */
export class Faces {
  constructor(
    private readonly modelOf: (dispatch: string) => DispatchModel | null,
    private readonly trans: Trans
  ) {}

  /** Forget all, if anything of what was told may have changed since. */
  renew(stamp: string): void {
    if (stamp !== this.stamp) {
      this.stamp = stamp;
      this.known.clear();
    }
  }

  of = (shape: Shape): Face => {
    let face = this.known.get(shape.id);
    if (!face) {
      const model = this.modelOf(shape.dispatch);
      face = shape.nodes.length > 1 ? this.stack(shape, model) : this.single(shape, model);
      this.known.set(shape.id, face);
    }
    return face;
  };

  /** All of it in words, for screen readers and as a tip. */
  words(shape: Shape): string {
    const { state, title, detail } = this.of(shape);
    const error = shape.nodes.length === 1 ? this.modelOf(shape.dispatch)?.electrons.get(shape.nodes[0])?.error : null;
    return [title, state.word, detail, error && `${error.type}: ${error.message}`].filter(Boolean).join(', ');
  }

  private single(shape: Shape, model: DispatchModel | null): Face {
    const { trans } = this;
    const [node] = shape.nodes;
    const row = model?.electrons.get(node);
    const status = model?.statusOf(node) ?? 'NEW_OBJECT';
    const state = stateFor(status, row?.reused ?? false, trans);
    const inputs = model?.inputsOf(node) ?? '';
    if (shape.role === 'cell') {
      return { state, title: `${node}`, detail: inputs || `${node}`, mark: '' };
    }
    const parts: string[] = [];
    if (shape.kind === 'sublattice') {
      parts.push(trans.__('lattice'));
    }
    if (inputs) {
      parts.push(inputs);
    }
    if (row?.error) {
      parts.push(row.error.type);
    } else if (row && model && row.started !== null) {
      const seconds = spent(row, model.now());
      parts.push(isEnded(status) ? duration(seconds) : elapsed(seconds ?? 0));
    } else if (isEnded(status)) {
      parts.push(state.word);
    }
    if (row?.executor && row.executor !== 'dask') {
      parts.push(row.executor);
    }
    const mark = shape.child ? (shape.role === 'frame' ? '⊟' : '▣') : shape.kind === 'sublattice' ? '▣' : '';
    return { state, title: shape.name, detail: parts.join(' · '), mark };
  }

  private stack(shape: Shape, model: DispatchModel | null): Face {
    const counts = new Map<Status, number>();
    for (const node of shape.nodes) {
      const status = model?.statusOf(node) ?? 'NEW_OBJECT';
      counts.set(status, (counts.get(status) ?? 0) + 1);
    }
    const signs = new Map<string, number>();
    for (const status of ORDER) {
      const sign = stateFor(status, false, this.trans).sign;
      signs.set(sign, (signs.get(sign) ?? 0) + (counts.get(status) ?? 0));
    }
    const detail = [...signs]
      .filter(([, n]) => n > 0)
      .map(([sign, n]) => `${n} ${sign}`)
      .join('  ');
    const status = TELLING.find(each => counts.get(each)) ?? 'COMPLETED';
    return {
      state: stateFor(status, false, this.trans),
      title: `${shape.name} × ${shape.nodes.length}`,
      detail,
      mark: shape.role === 'grid' ? '⊟' : ''
    };
  }

  private stamp = '';
  private readonly known = new Map<string, Face>();
}

const ORDER: Status[] = [
  'COMPLETED', 'RUNNING', 'NEW_OBJECT', 'PENDING_REUSE', 'DISPATCHING', 'FAILED', 'CANCELLED', 'SKIPPED'
];
/** The state of a stack is the first of these that one of its electrons has. */
const TELLING: Status[] = ['RUNNING', 'FAILED', 'DISPATCHING', 'NEW_OBJECT', 'PENDING_REUSE', 'CANCELLED', 'SKIPPED'];
