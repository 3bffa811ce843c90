import { DispatchModel } from '../../dispatch';
import { stateFor } from '../../states';
import { Trans } from '../context';
import { Faces } from './faces';
import { Scene, Shape } from './scene';

/** Something to go to: an electron, or (`whole`) a stack in which all are meant. */
export interface Hit {
  shape: Shape;
  node: number;
  whole: boolean;
}

export interface Found {
  /** Ids of the shapes that stand for what was found. */
  shapes: ReadonlySet<string>;
  hits: readonly Hit[];
  /** Electrons. */
  count: number;
}

/** Electrons in sight, or in closed stacks, by name, input, state, error and number; null: nothing is searched for. */
export function find(
  scene: Scene | null,
  text: string | null,
  faces: Faces,
  modelOf: (dispatch: string) => DispatchModel | null,
  trans: Trans
): Found | null {
  const wanted = text?.trim().toLowerCase() ?? '';
  if (!scene || wanted === '') {
    return null;
  }
  const hits: Hit[] = [];
  let count = 0;
  for (const shape of scene.shapes) {
    if (shape.role === 'grid') {
      continue; // its cells tell
    }
    const single = shape.nodes.length === 1;
    const nodes = shape.nodes.filter(
      node =>
        String(node) === wanted ||
        told(shape, node, modelOf(shape.dispatch), trans).includes(wanted) ||
        (single && faces.words(shape).toLowerCase().includes(wanted))
    );
    count += nodes.length;
    if (!single && nodes.length === shape.nodes.length) {
      hits.push({ shape, node: nodes[0], whole: true });
    } else {
      nodes.forEach(node => hits.push({ shape, node, whole: single }));
    }
  }
  return { shapes: new Set(hits.map(({ shape }) => shape.id)), hits, count };
}

function told(shape: Shape, node: number, model: DispatchModel | null, trans: Trans): string {
  const row = model?.electrons.get(node);
  const { word } = stateFor(model?.statusOf(node) ?? 'NEW_OBJECT', row?.reused ?? false, trans);
  const error = row?.error ? `${row.error.type}: ${row.error.message}` : '';
  return `${shape.name}\n${word}\n${model?.givenOf(node) ?? ''}\n${error}`.toLowerCase();
}
