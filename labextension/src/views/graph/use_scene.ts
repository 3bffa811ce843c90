import * as React from 'react';

import { DispatchModel } from '../../dispatch';
import { Direction } from './layout';
import { electronId, Part, Scene, sceneSteps } from './scene';
import { runSliced } from './slices';

/** Models of the opened sublattices, made when they are first asked for, gone with the view. */
export class Children {
  constructor(
    private readonly root: DispatchModel,
    private readonly changed: () => void
  ) {}

  of = (dispatch: string): DispatchModel | null => {
    return dispatch === this.root.id ? this.root : (this.models.get(dispatch) ?? null);
  };

  open(dispatch: string): void {
    if (!this.of(dispatch)) {
      const model = new DispatchModel(this.root.source, dispatch);
      model.changed.connect(this.changed);
      model.want('graph', 'electrons');
      model.start();
      this.models.set(dispatch, model);
    }
  }

  /** Grows with every change of any of them. */
  get revision(): number {
    let sum = this.root.revision;
    this.models.forEach(model => (sum += model.revision));
    return sum;
  }

  dispose(): void {
    this.models.forEach(model => model.dispose());
    this.models.clear();
  }

  private readonly models = new Map<string, DispatchModel>();
}

/** The scene of a dispatch with what is open in it, laid out anew when its shape changes; the old one stays meanwhile. */
export function useScene(
  model: DispatchModel,
  children: Children,
  open: ReadonlySet<string>,
  direction: Direction
): Scene | null {
  const [scene, setScene] = React.useState<Scene | null>(null);
  const revision = children.revision;
  const parts = React.useMemo(() => collect(model, children, open), [model, revision, open]);
  React.useEffect(() => {
    const root = parts.get(model.id);
    if (!root) {
      return;
    }
    const work = sceneSteps(
      root,
      {
        open,
        part: dispatch => parts.get(dispatch) ?? null,
        childOf: (dispatch, node) => children.of(dispatch)?.electrons.get(node)?.child ?? null
      },
      direction
    );
    return runSliced(work, setScene);
  }, [shapeOf(parts), open, direction]);
  return scene;
}

/** The graphs of the dispatch and of its opened sublattices; failed electrons step out of their stacks. */
function collect(model: DispatchModel, children: Children, open: ReadonlySet<string>): Map<string, Part> {
  const parts = new Map<string, Part>();
  const add = (dispatch: string) => {
    const each = children.of(dispatch);
    if (!each?.graph || parts.has(dispatch)) {
      return;
    }
    const failed = new Set<number>();
    const runs: string[] = [];
    let begun = 0;
    for (const [node, , kind] of each.graph.nodes) {
      if (each.statusOf(node) === 'FAILED') {
        failed.add(node);
      }
      const child = kind === 'sublattice' ? each.electrons.get(node)?.child : null;
      begun += child ? 1 : 0;
      if (child && open.has(electronId(dispatch, node))) {
        runs.push(child);
      }
    }
    parts.set(dispatch, {
      dispatch,
      graph: each.graph,
      apart: node => failed.has(node),
      inputsOf: node => each.inputsOf(node),
      errorOf: node => each.electrons.get(node)?.error?.type ?? '',
      stamp: stampOf(each, failed, begun)
    });
    runs.forEach(child => {
      children.open(child);
      add(child);
    });
  };
  add(model.id);
  return parts;
}

/** Changes when another layout is due: with the graph, with what failed and of what, with the runs of sublattices. */
function stampOf(model: DispatchModel, failed: ReadonlySet<number>, begun: number): string {
  const { nodes, edges } = model.graph!;
  const told = [...failed].filter(node => model.electrons.get(node)?.error).length;
  return `${nodes.length}:${edges.length}:${[...failed].sort((a, b) => a - b).join(',')}:${told}:${begun}`;
}

function shapeOf(parts: ReadonlyMap<string, Part>): string {
  return [...parts].map(([dispatch, { stamp }]) => `${dispatch}=${stamp}`).join(';');
}
