import * as React from 'react';

import { View } from './paint';
import { Scene, Shape } from './scene';

/** Scales between which the graph can be zoomed; what fits is shown no larger than `COMFORT`. */
export const LEAST = 0.01;
export const MOST = 3;
const COMFORT = 1.15;
const MARGIN = 28;

/** How the scene lies. Until somebody moves it, it fits; what is opened stays where it is. */
export function useView(scene: Scene | null, size: { width: number; height: number }) {
  const [view, put] = React.useState<View>({ x: 0, y: 0, scale: 1 });
  const moved = React.useRef(false);
  const held = React.useRef<{ id: string; x: number; y: number } | null>(null);
  const known = React.useRef(view);
  known.current = view;
  const setView = (next: View | ((view: View) => View)) => {
    moved.current = true;
    put(next);
  };
  const fit = () => {
    if (!scene || size.width === 0) {
      return;
    }
    moved.current = false;
    const scale = Math.max(
      LEAST,
      Math.min(COMFORT, (size.width - 2 * MARGIN) / scene.width, (size.height - 2 * MARGIN - 34) / scene.height)
    );
    put({
      scale,
      x: (size.width - scene.width * scale) / 2,
      y: (size.height - scene.height * scale) / 2
    });
  };
  React.useLayoutEffect(() => {
    const anchored = held.current && scene?.shapes.find(shape => shape.id === held.current!.id);
    if (anchored && held.current) {
      const { scale } = known.current;
      put({ scale, x: held.current.x - anchored.x * scale, y: held.current.y - anchored.y * scale });
      held.current = null;
    } else if (!moved.current) {
      fit();
    }
  }, [scene, size.width, size.height]);
  const anchor = (shape: Shape) => {
    moved.current = true;
    const { x, y, scale } = known.current;
    held.current = { id: shape.id, x: shape.x * scale + x, y: shape.y * scale + y };
  };
  return { view, setView, fit, anchor };
}
