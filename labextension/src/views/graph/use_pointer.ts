import * as React from 'react';

import { View } from './paint';
import { Scene, Shape, shapeAt } from './scene';

/** Pixels that the pointer may move in a click. */
const STILL = 4;

/** Dragging moves the scene; a click is told with its place in the scene. */
export function usePointer(
  scene: Scene | null,
  view: View,
  setView: (next: (view: View) => View) => void,
  click: (shape: Shape | null, x: number, y: number) => void,
  double: (shape: Shape) => void
) {
  const [over, setOver] = React.useState<Shape | null>(null);
  const drag = React.useRef<{ x: number; y: number; far: number } | null>(null);
  const place = (event: React.MouseEvent): [number, number] => {
    const box = event.currentTarget.getBoundingClientRect();
    return [(event.clientX - box.left - view.x) / view.scale, (event.clientY - box.top - view.y) / view.scale];
  };
  const handlers = {
    onPointerDown: (event: React.PointerEvent) => {
      if (event.button === 0) {
        drag.current = { x: event.clientX, y: event.clientY, far: 0 };
        event.currentTarget.setPointerCapture(event.pointerId);
      }
    },
    onPointerMove: (event: React.PointerEvent) => {
      const from = drag.current;
      if (!from) {
        setOver(scene && shapeAt(scene, ...place(event)));
        return;
      }
      const [dx, dy] = [event.clientX - from.x, event.clientY - from.y];
      from.far += Math.abs(dx) + Math.abs(dy);
      [from.x, from.y] = [event.clientX, event.clientY];
      if (from.far > STILL) {
        setView(known => ({ ...known, x: known.x + dx, y: known.y + dy }));
      }
    },
    onPointerUp: (event: React.PointerEvent) => {
      const still = drag.current !== null && drag.current.far <= STILL;
      drag.current = null;
      if (still && scene) {
        const [x, y] = place(event);
        click(shapeAt(scene, x, y), x, y);
      }
    },
    onPointerCancel: () => {
      drag.current = null;
    },
    onPointerLeave: () => setOver(null),
    onDoubleClick: (event: React.MouseEvent) => {
      const shape = scene && shapeAt(scene, ...place(event));
      if (shape?.role === 'box' && shape.child) {
        double(shape);
      }
    }
  };
  return { over, handlers };
}

/** The wheel zooms about the pointer; with Shift it moves sideways. Where `zooms` is false it does so with Ctrl alone. */
export function useWheel(
  box: React.RefObject<HTMLElement>,
  zoom: (factor: number, x: number, y: number) => void,
  setView: (next: (view: View) => View) => void,
  zooms: boolean
): void {
  const latest = React.useRef({ zoom, setView });
  latest.current = { zoom, setView };
  React.useEffect(() => {
    const node = box.current!;
    const onWheel = (event: WheelEvent) => {
      if (!zooms && !event.ctrlKey && !event.metaKey) {
        return; // the page scrolls
      }
      event.preventDefault();
      if (event.shiftKey) {
        latest.current.setView(known => ({ ...known, x: known.x - event.deltaY - event.deltaX }));
        return;
      }
      const frame = node.getBoundingClientRect();
      const factor = Math.exp(-Math.max(-60, Math.min(60, event.deltaY)) / 250);
      latest.current.zoom(factor, event.clientX - frame.left, event.clientY - frame.top);
    };
    node.addEventListener('wheel', onWheel, { passive: false });
    return () => node.removeEventListener('wheel', onWheel);
  }, [zooms]);
}
