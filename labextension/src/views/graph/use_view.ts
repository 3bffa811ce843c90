import * as React from 'react';

import { View } from './paint';
import { Scene, Shape, shapeLike } from './scene';

/** Scales between which the graph can be zoomed; what fits is shown no larger than `COMFORT`. */
export const LEAST = 0.01;
export const MOST = 3;
const COMFORT = 1.15;
/** Pixels that stay free at the sides, and above and below, where tools and legend lie. */
const BESIDE = 28;
const ABOVE = 44;
const BELOW = 44;
/** The overview takes so much below; in a low view it may cover something. */
const OVERVIEW = 126;
const LOW = 420;
/** An opened shape is shown with all around it, unless alone it can be shown so much larger. */
const LARGER = 1.7;

export interface Room {
  width: number;
  height: number;
  /** Height of the legend. */
  legend: number;
}

/** Whether not all of a scene is in view at this scale. */
export function isTooLarge(scene: Scene, { width, height }: { width: number; height: number }, scale: number): boolean {
  return scene.width * scale > width * 1.02 || scene.height * scale > height * 1.02;
}

/** All of the scene in the view. */
export function fitted(scene: Scene, room: Room): View {
  const below = Math.max(BELOW, room.legend + 16);
  const high = room.height - ABOVE - below;
  const scale = Math.max(LEAST, Math.min(COMFORT, (room.width - 2 * BESIDE) / scene.width, high / scene.height));
  return { scale, x: (room.width - scene.width * scale) / 2, y: ABOVE + (high - scene.height * scale) / 2 };
}

/** The view moved as little as shows all of a shape; null where at this scale that cannot be. */
export function showing(view: View, shape: Shape, scene: Scene, room: Room): View | null {
  const { scale } = view;
  const area = areaOf(scene, room, scale);
  const [left, top] = [view.x + shape.x * scale, view.y + shape.y * scale];
  const [right, bottom] = [left + shape.width * scale, top + shape.height * scale];
  if (right - left > area.right - area.left || bottom - top > area.bottom - area.top) {
    return null;
  }
  return {
    scale,
    x: view.x + Math.max(0, area.left - left) - Math.max(0, right - area.right),
    y: view.y + Math.max(0, area.top - top) - Math.max(0, bottom - area.bottom)
  };
}

/** A view that shows all of an opened shape; null: that of the whole scene does it well enough. */
export function showingOpened(view: View, shape: Shape, scene: Scene, room: Room): View | null {
  const moved = showing(view, shape, scene, room);
  if (moved) {
    return moved;
  }
  const area = areaOf(scene, room, view.scale);
  const scale = Math.max(
    LEAST,
    Math.min(view.scale, (area.right - area.left) / shape.width, (area.bottom - area.top) / shape.height)
  );
  if (scale < LARGER * fitted(scene, room).scale) {
    return null;
  }
  return {
    scale,
    x: (area.left + area.right - shape.width * scale) / 2 - shape.x * scale,
    y: (area.top + area.bottom - shape.height * scale) / 2 - shape.y * scale
  };
}

/** What of the view is free of tools, legend and overview. */
function areaOf(scene: Scene, room: Room, scale: number): { left: number; top: number; right: number; bottom: number } {
  const overview = room.height > LOW && isTooLarge(scene, room, scale) ? OVERVIEW : 0;
  const below = Math.max(BELOW, room.legend + 16, overview);
  return { left: 12, top: ABOVE, right: room.width - 12, bottom: room.height - below };
}

/**
 * How the scene lies, from `start` on (null: it fits). Until somebody moves it, it fits; what is opened stays where it is, or
 * comes into view. Where the room changes, `chosen` stays in view.
 */
export function useView(scene: Scene | null, room: Room, start: View | null, chosen: Shape | null) {
  const [view, put] = React.useState<View>(start ?? { x: 0, y: 0, scale: 1 });
  const moved = React.useRef(start !== null);
  const held = React.useRef<{ shape: Shape; x: number; y: number } | null>(null);
  const known = React.useRef(view);
  known.current = view;
  const laid = React.useRef('');
  const setView = (next: View | ((view: View) => View)) => {
    moved.current = true;
    held.current = null;
    put(next);
  };
  const fit = () => {
    if (scene && room.width > 0) {
      moved.current = false;
      held.current = null;
      put(fitted(scene, room));
    }
  };
  React.useLayoutEffect(() => {
    if (!scene || room.width === 0) {
      return;
    }
    const resized = laid.current !== `${room.width} ${room.height}`;
    laid.current = `${room.width} ${room.height}`;
    const still = held.current && shapeLike(scene, held.current.shape);
    if (held.current && still) {
      const { scale } = known.current;
      const anchored = { scale, x: held.current.x - still.x * scale, y: held.current.y - still.y * scale };
      const next = showingOpened(anchored, still, scene, room);
      if (next) {
        held.current = { shape: still, x: still.x * next.scale + next.x, y: still.y * next.scale + next.y };
        put(next);
      } else {
        fit();
      }
    } else if (!moved.current) {
      fit();
    } else if (resized && chosen) {
      put(showing(known.current, chosen, scene, room) ?? known.current);
    }
  }, [scene, room.width, room.height, room.legend]);
  /** Before a shape is opened or closed: it stays where it is. */
  const anchor = (shape: Shape) => {
    const closes = shape.role === 'grid' || shape.role === 'frame';
    const { x, y, scale } = known.current;
    const fits = closes && !moved.current;
    held.current = fits ? null : { shape, x: shape.x * scale + x, y: shape.y * scale + y };
  };
  const isMoved = () => moved.current || held.current !== null;
  /** Before all shapes change their places: what one looks at, if anything, stays where it is. */
  const turn = (shape: Shape | null) => {
    if (shape && isMoved()) {
      anchor(shape);
    } else {
      moved.current = false;
      held.current = null;
    }
  };
  return { view, setView, fit, anchor, turn, isMoved };
}
