import { DispatchModel } from '../../dispatch';
import { duration, elapsed } from '../../format';
import { Trans } from '../context';
import { spent } from '../figures';
import { isEnded, State, stateFor } from '../../states';
import { Face } from './paint';
import { Shape } from './scene';

/**
 * What the shapes of a scene say, remembered until something has changed.
 *
 * By shape, not by its id: a stack keeps its id when one of its electrons steps out.
 */
export class Faces {
  constructor(
    private readonly modelOf: (dispatch: string) => DispatchModel | null,
    private readonly trans: Trans
  ) {}

  /** Forget all, if anything of what was told may have changed since. */
  renew(stamp: string): void {
    if (stamp !== this.stamp) {
      this.stamp = stamp;
      this.known = new WeakMap();
      this.usual = new WeakMap();
    }
  }

  of = (shape: Shape): Face => {
    let face = this.known.get(shape);
    if (!face) {
      const model = this.modelOf(shape.dispatch);
      face = shape.nodes.length > 1 ? this.stack(shape, model) : this.single(shape, model);
      this.known.set(shape, face);
    }
    return face;
  };

  /** All of it in words, for screen readers and as a tip. */
  words(shape: Shape): string {
    const { state, title, detail } = this.of(shape);
    const model = this.modelOf(shape.dispatch);
    const [node] = shape.nodes;
    if (shape.nodes.length > 1 || !model) {
      return [title, state.word, detail].filter(Boolean).join(', ');
    }
    const error = model.electrons.get(node)?.error;
    const given = model.givenOf(node) === model.inputsOf(node) ? '' : model.givenOf(node);
    return [title, state.word, detail, given, error && `${error.type}: ${error.message}`].filter(Boolean).join(', ');
  }

  private single(shape: Shape, model: DispatchModel | null): Face {
    const { trans } = this;
    const [node] = shape.nodes;
    const row = model?.electrons.get(node);
    const status = model?.statusOf(node) ?? 'NEW_OBJECT';
    const state = stateFor(status, row?.reused ?? false, trans);
    const inputs = model?.inputsOf(node) ?? '';
    if (shape.role === 'cell') {
      return { state, title: `${node}`, detail: inputs || `${node}`, mark: shape.kind === 'sublattice' ? '▣' : '' };
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
    if (row && model && row.executor !== this.usualExecutor(model)) {
      parts.push(row.executor);
    }
    const mark = shape.role === 'frame' ? '⊟' : shape.child || shape.kind === 'sublattice' ? '▣' : '';
    return { state, title: shape.name, detail: parts.join(' · '), mark };
  }

  private stack(shape: Shape, model: DispatchModel | null): Face {
    const counts = new Map<string, number>();
    const states = new Map<string, State>();
    for (const node of shape.nodes) {
      const state = stateFor(model?.statusOf(node) ?? 'NEW_OBJECT', model?.electrons.get(node)?.reused ?? false, this.trans);
      counts.set(state.sign, (counts.get(state.sign) ?? 0) + 1);
      states.set(state.sign, state);
    }
    const detail = SIGNS.filter(sign => counts.has(sign))
      .map(sign => `${counts.get(sign)} ${sign}`)
      .join('  ');
    return {
      state: states.get(TELLING.find(sign => states.has(sign))!)!,
      title: `${shape.name} × ${shape.nodes.length}`,
      detail,
      mark: shape.role === 'grid' ? '⊟' : ''
    };
  }

  /** The executor of most electrons of a dispatch. It goes without saying. */
  private usualExecutor(model: DispatchModel): string {
    let usual = this.usual.get(model);
    if (usual === undefined) {
      usual = mostCommon([...model.electrons.values()].map(row => row.executor));
      this.usual.set(model, usual);
    }
    return usual;
  }

  private stamp = '';
  private known = new WeakMap<Shape, Face>();
  private usual = new WeakMap<DispatchModel, string>();
}

/** Of those that are as common, the first in the alphabet. */
function mostCommon(names: readonly string[]): string {
  const counts = new Map<string, number>();
  names.forEach(name => counts.set(name, (counts.get(name) ?? 0) + 1));
  return [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))[0]?.[0] ?? '';
}

const SIGNS = ['✓', '↺', '◐', '○', '✕', '⊘', '⤼'];
/** The state of a stack is the first of these that one of its electrons has. */
const TELLING = ['◐', '✕', '○', '⊘', '⤼', '✓', '↺'];
