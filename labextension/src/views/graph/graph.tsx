import * as React from 'react';

import { DispatchModel } from '../../dispatch';
import { useTrans } from '../context';
import { isEnded, stateFor } from '../../states';
import { useClock, useModel, useSize } from '../hooks';
import { Empty } from '../parts';
import { Pending } from '../pending';
import { Faces } from './faces';
import { Direction } from './layout';
import { Minimap } from './minimap';
import { Painter, Palette, View } from './paint';
import { usePalette } from './palette';
import { middle, neighbour, Scene, Shape, shapeAt, shapeFor } from './scene';
import { Children, useScene } from './use_scene';

/** Scales between which the graph can be zoomed; what fits is shown no larger than `COMFORT`. */
const LEAST = 0.01;
const MOST = 3;
const COMFORT = 1.15;
const MARGIN = 28;
/** Pixels at a box's right end that open and close it. */
const MARK = 26;
/** Shapes that are listed for screen readers; of more, the one in focus alone. */
const LISTED = 300;
/** Pixels that the pointer may move in a click. */
const STILL = 4;

export interface Chosen {
  dispatch: string;
  node: number;
}

interface Props {
  model: DispatchModel;
  chosen: Chosen | null;
  onChoose: (chosen: Chosen | null) => void;
  /** Whether the wheel zooms by itself; where the page around it scrolls, it zooms with Ctrl alone. */
  wheelZooms?: boolean;
}

/** The transport graph, live: pan, zoom, search; stacks and sublattices open in place. */
export function GraphView(props: Props): JSX.Element {
  const { model } = props;
  useModel(model);
  const trans = useTrans();
  React.useEffect(() => model.want('graph', 'electrons'), [model]);
  if (!model.graph) {
    return <Pending model={model}>{trans.__('Loading the graph…')}</Pending>;
  }
  if (model.graph.nodes.length === 0) {
    return <Empty>{trans.__('This dispatch has no electrons.')}</Empty>;
  }
  return <Drawing key={model.id} {...props} />;
}

function Drawing({ model, chosen, onChoose, wheelZooms = true }: Props): JSX.Element {
  const trans = useTrans();
  const [, draw] = React.useReducer((n: number) => n + 1, 0);
  const children = React.useMemo(() => new Children(model, draw), [model]);
  React.useEffect(() => () => children.dispose(), [children]);
  const [open, setOpen] = React.useState<ReadonlySet<string>>(new Set());
  const [direction, setDirection] = React.useState<Direction>('right');
  const [search, setSearch] = React.useState<string | null>(null);
  const [focused, setFocused] = React.useState<string | null>(null);
  const scene = useScene(model, children, open, direction);
  const faces = React.useMemo(() => new Faces(children.of, trans), [children, trans]);
  const box = React.useRef<HTMLDivElement>(null);
  const size = useSize(box);
  const { view, setView, fit, anchor } = useView(scene, size);
  const ticking = !!model.row && !isEnded(model.row.status);
  const second = Math.floor(useClock(() => model.now(), ticking));
  const stamp = `${children.revision} ${ticking ? second : 0}`;
  faces.renew(stamp);
  const palette = usePalette(box);
  const found = React.useMemo(() => matches(scene, search, faces, model), [scene, search, stamp]);
  const chosenShape = scene && chosen ? shapeFor(scene, chosen.dispatch, chosen.node) : null;
  const canvas = usePainting({
    scene, view, size, palette, faces, stamp,
    emphasis: { chosen: chosenShape?.id ?? null, focused, found }
  });

  const toggle = (shape: Shape) => {
    if (shape.role === 'cell' || (shape.nodes.length === 1 && !shape.child)) {
      return;
    }
    anchor(shape);
    setOpen(known => {
      const next = new Set(known);
      if (!next.delete(shape.id)) {
        next.add(shape.id);
      }
      return next;
    });
  };
  const centre = (shape: Shape) => {
    const [x, y] = middle(shape);
    const scale = Math.max(view.scale, 0.8);
    setView({ scale, x: size.width / 2 - x * scale, y: size.height / 2 - y * scale });
  };
  const reveal = (shape: Shape) => {
    const [x, y] = [shape.x * view.scale + view.x, shape.y * view.scale + view.y];
    const inside = x > 0 && y > 0 && x + shape.width * view.scale < size.width && y + shape.height * view.scale < size.height;
    if (!inside) {
      centre(shape);
    }
  };
  const zoom = (factor: number, x = size.width / 2, y = size.height / 2) =>
    setView(known => {
      const scale = Math.min(MOST, Math.max(LEAST, known.scale * factor));
      const real = scale / known.scale;
      return { scale, x: x - (x - known.x) * real, y: y - (y - known.y) * real };
    });
  const click = (shape: Shape | null, x: number, y: number) => {
    if (!shape) {
      return;
    }
    const onMark = shape.child !== null && shape.role !== 'cell' && x > shape.x + shape.width - MARK;
    const onTitle = y < shape.y + 26;
    if (shape.role === 'stack' || (shape.role === 'grid' && onTitle) || onMark) {
      toggle(shape);
    } else if (shape.nodes.length === 1 && (shape.role !== 'frame' || onTitle)) {
      onChoose({ dispatch: shape.dispatch, node: shape.nodes[0] });
    }
    setFocused(null);
  };
  const pointer = usePointer(scene, view, setView, click, shape => toggle(shape));
  useWheel(box, zoom, setView, wheelZooms);

  const focusedShape = scene?.shapes.find(shape => shape.id === focused) ?? null;
  const onKeyDown = (event: React.KeyboardEvent) => {
    if (!scene || event.target !== event.currentTarget) {
      return;
    }
    const from = focusedShape ?? chosenShape ?? scene.shapes[0];
    if (event.key.startsWith('Arrow') && from) {
      const next = focused || chosenShape ? neighbour(scene, from, event.key) : from;
      if (next) {
        setFocused(next.id);
        reveal(next);
      }
    } else if (event.key === 'Enter' && focusedShape) {
      if (focusedShape.nodes.length === 1) {
        onChoose({ dispatch: focusedShape.dispatch, node: focusedShape.nodes[0] });
      } else {
        toggle(focusedShape);
      }
    } else if (event.key === ' ' && focusedShape) {
      toggle(focusedShape);
    } else if (event.key === '+' || event.key === '=') {
      zoom(1.25);
    } else if (event.key === '-') {
      zoom(0.8);
    } else if (event.key === '0') {
      fit();
    } else if (event.key === '/') {
      setSearch(search ?? '');
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  const listing = React.useMemo(
    () => <Listing scene={scene} faces={faces} focused={focused} chosen={chosenShape} />,
    [scene, stamp, focused, chosenShape]
  );
  const tooLarge = scene && (scene.width * view.scale > size.width * 1.02 || scene.height * view.scale > size.height * 1.02);
  return (
    <div className="cv-graph">
      <div
        className="cv-canvas"
        ref={box}
        tabIndex={0}
        role="listbox"
        aria-label={trans.__('Graph: arrow keys move, Enter chooses, Space opens')}
        aria-activedescendant={focused ? `cv-shape-${focused}` : undefined}
        onKeyDown={onKeyDown}
        {...pointer.handlers}
        title={pointer.over ? faces.words(pointer.over) : undefined}
        style={{ cursor: pointer.over ? 'pointer' : 'grab' }}
        data-boxes={scene?.shapes.length ?? 0}
        data-scale={view.scale.toFixed(4)}
        data-left={Math.round(view.x)}
        data-top={Math.round(view.y)}
      >
        <canvas ref={canvas} />
        {listing}
      </div>
      <Tools
        zoom={zoom}
        fit={fit}
        turn={() => setDirection(direction === 'right' ? 'down' : 'right')}
        search={search}
        setSearch={setSearch}
        found={found}
        next={() => {
          const all = scene?.shapes.filter(shape => found?.has(shape.id)) ?? [];
          const next = all[(all.findIndex(shape => shape.id === focused) + 1) % (all.length || 1)];
          if (next) {
            setFocused(next.id);
            centre(next);
          }
        }}
      />
      <Legend />
      {scene && tooLarge && (
        <Minimap
          scene={scene}
          view={view}
          {...size}
          palette={palette}
          face={faces.of}
          stamp={stamp}
          label={trans.__('Overview')}
          onMove={(x, y) =>
            setView(known => ({ ...known, x: size.width / 2 - x * known.scale, y: size.height / 2 - y * known.scale }))
          }
        />
      )}
      {!scene && <div className="cv-graphBusy">{trans.__('Laying out %1 electrons…', model.graph!.nodes.length)}</div>}
    </div>
  );
}

/** How the scene lies. Until somebody moves it, it fits; what is opened stays where it is. */
function useView(scene: Scene | null, size: { width: number; height: number }) {
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

interface Painting {
  scene: Scene | null;
  view: View;
  size: { width: number; height: number };
  palette: Palette;
  faces: Faces;
  stamp: string;
  emphasis: { chosen: string | null; focused: string | null; found: ReadonlySet<string> | null };
}

/** Paints, once a frame at most. */
function usePainting(painting: Painting): React.RefObject<HTMLCanvasElement> {
  const canvas = React.useRef<HTMLCanvasElement>(null);
  const latest = React.useRef(painting);
  latest.current = painting;
  const painter = React.useRef<Painter | null>(null);
  const frame = React.useRef(0);
  React.useEffect(() => () => window.cancelAnimationFrame(frame.current), []);
  React.useEffect(() => {
    frame.current = frame.current || window.requestAnimationFrame(paint);
  });
  const paint = () => {
    frame.current = 0;
    const { scene, view, size, palette, faces, emphasis } = latest.current;
    const context = canvas.current?.getContext('2d');
    if (!context || !scene) {
      return;
    }
    const ratio = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(size.width * ratio), Math.round(size.height * ratio)];
    if (context.canvas.width !== width || context.canvas.height !== height) {
      context.canvas.width = width;
      context.canvas.height = height;
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (painter.current?.palette !== palette) {
      painter.current = new Painter(context, palette);
    }
    painter.current.paint(scene, view, size.width, size.height, faces.of, emphasis);
  };
  return canvas;
}

/** Dragging moves the scene; a click is told with its place in the scene. */
function usePointer(
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

function useWheel(
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

/** Shapes that tell of what is searched for: by name, input, state, error, number. */
function matches(scene: Scene | null, search: string | null, faces: Faces, model: DispatchModel): Set<string> | null {
  const wanted = search?.trim().toLowerCase() ?? '';
  if (!scene || wanted === '') {
    return null;
  }
  const own = (shape: Shape) => (shape.dispatch === model.id ? shape.nodes : shape.nodes.slice(0, 1));
  return new Set(
    scene.shapes
      .filter(
        shape =>
          faces.words(shape).toLowerCase().includes(wanted) ||
          own(shape).some(node => String(node) === wanted || model.inputsOf(node).toLowerCase().includes(wanted))
      )
      .map(shape => shape.id)
  );
}

interface ToolsProps {
  zoom: (factor: number) => void;
  fit: () => void;
  turn: () => void;
  search: string | null;
  setSearch: (text: string | null) => void;
  found: ReadonlySet<string> | null;
  next: () => void;
}

function Tools({ zoom, fit, turn, search, setSearch, found, next }: ToolsProps): JSX.Element {
  const trans = useTrans();
  const tool = (sign: string, label: string, run: () => void) => (
    <button className="cv-button" title={label} aria-label={label} onClick={run}>
      {sign}
    </button>
  );
  return (
    <div className="cv-tools" role="toolbar" aria-label={trans.__('Graph')}>
      {search !== null && (
        <>
          {found && (
            <span className="cv-mute" aria-live="polite">
              {found.size === 1 ? trans.__('1 found') : trans.__('%1 found', found.size)}
            </span>
          )}
          <input
            type="search"
            className="cv-search"
            autoFocus
            value={search}
            placeholder={trans.__('Name, input, state, error, node')}
            aria-label={trans.__('Find in the graph')}
            onChange={event => setSearch(event.target.value)}
            onKeyDown={event => {
              if (event.key === 'Enter') {
                next();
              } else if (event.key === 'Escape') {
                setSearch(null);
              }
            }}
          />
        </>
      )}
      {tool('+', trans.__('Zoom in (+)'), () => zoom(1.25))}
      {tool('−', trans.__('Zoom out (-)'), () => zoom(0.8))}
      {tool('⤢', trans.__('Fit (0)'), fit)}
      {tool('⇅', trans.__('Left to right, or top down'), turn)}
      <button
        className="cv-button"
        aria-pressed={search !== null}
        title={trans.__('Find (/)')}
        onClick={() => setSearch(search === null ? '' : null)}
      >
        {trans.__('find')}
      </button>
    </div>
  );
}

function Legend(): JSX.Element {
  const trans = useTrans();
  const states = [
    stateFor('COMPLETED', false, trans),
    stateFor('RUNNING', false, trans),
    stateFor('NEW_OBJECT', false, trans),
    stateFor('FAILED', false, trans),
    stateFor('SKIPPED', false, trans),
    stateFor('CANCELLED', false, trans),
    stateFor('COMPLETED', true, trans)
  ];
  return (
    <div className="cv-legend" aria-hidden="true">
      {states.map(({ sign, word, colour }) => (
        <span key={word} className={`cv-${colour}`}>
          {sign} {word}
        </span>
      ))}
    </div>
  );
}

interface ListingProps {
  scene: Scene | null;
  faces: Faces;
  focused: string | null;
  chosen: Shape | null;
}

/** What the canvas shows, in words. */
function Listing({ scene, faces, focused, chosen }: ListingProps): JSX.Element {
  const all = scene?.shapes ?? [];
  const told = all.length <= LISTED ? all : all.filter(shape => shape.id === focused || shape.id === chosen?.id);
  return (
    <div className="cv-hidden" role="presentation">
      {told.map(shape => (
        <div
          key={shape.id}
          id={`cv-shape-${shape.id}`}
          role="option"
          aria-selected={shape.id === chosen?.id}
          data-role={shape.role}
          data-place={`${shape.x} ${shape.y} ${shape.width} ${shape.height}`}
        >
          {faces.of(shape).state.sign} {faces.words(shape)}
        </div>
      ))}
    </div>
  );
}
