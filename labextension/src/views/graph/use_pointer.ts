import * as React from 'react';

import { View } from './paint';
import { Scene, Shape, shapeAt } from './scene';

/** Pixels that the pointer may move in a click, and milliseconds between the two of a double click. */
const STILL = 4;
const TWICE = 400;

/** Dragging moves the scene; a click is told with its place in the scene, and says whether it has opened or closed something. */
export function usePointer(
  scene: Scene | null,
  view: View,
  setView: (next: (view: View) => View) => void,
  click: (shape: Shape | null, x: number, y: number) => boolean,
  double: (shape: Shape) => void
) {
  const [over, setOver] = React.useState<Shape | null>(null);
  const drag = React.useRef<{ x: number; y: number; far: number } | null>(null);
  // what the first click does may move the scene: the second one means what was there then
  const first = React.useRef<{ shape: Shape | null; x: number; y: number; time: number } | null>(null);
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
      if (!still || !scene) {
        return;
      }
      const known = first.current;
      const far = known && Math.abs(known.x - event.clientX) + Math.abs(known.y - event.clientY);
      if (known && far! <= STILL && event.timeStamp - known.time < TWICE) {
        first.current = null;
        if (known.shape) {
          double(known.shape);
        }
        return;
      }
      const [x, y] = place(event);
      const shape = shapeAt(scene, x, y);
      const opened = click(shape, x, y);
      first.current = { shape: opened ? null : shape, x: event.clientX, y: event.clientY, time: event.timeStamp };
    },
    onPointerCancel: () => {
      drag.current = null;
    },
    onPointerLeave: () => setOver(null)
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
