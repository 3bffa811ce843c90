import * as React from 'react';

import { Found, Hit } from './find';
import { Scene, Shape, shapeFor } from './scene';

/** Goes from hit to hit: `next()`. One in a closed stack has it opened, and is gone to when it is there. */
export function useFind(
  scene: Scene | null,
  found: Found | null,
  open: (stack: Shape) => void,
  go: (shape: Shape) => void
): () => void {
  const last = React.useRef('');
  const awaited = React.useRef<Hit | null>(null);
  React.useEffect(() => {
    const { current } = awaited;
    const shape = scene && current && shapeFor(scene, current.shape.dispatch, current.node);
    if (shape && shape.nodes.length === 1) {
      awaited.current = null;
      go(shape);
    }
  }, [scene]);
  return () => {
    const hits = found?.hits ?? [];
    const at = hits.findIndex(hit => nameOf(hit) === last.current);
    const hit = hits[(at + 1) % (hits.length || 1)];
    if (!hit) {
      return;
    }
    last.current = nameOf(hit);
    awaited.current = hit.whole ? null : hit;
    if (hit.whole) {
      go(hit.shape);
    } else {
      open(hit.shape);
    }
  };
}

function nameOf({ shape, node }: Hit): string {
  return `${shape.dispatch} ${node}`;
}
