/**
 * A timer that can be armed again and again without allocating. Belongs to one `TimerWheel`.
 * It fires at most once per `arm`, up to one tick late, never early.
 */
export class Timer {
  /** @internal */ next: Timer | undefined;
  /** @internal */ previous: Timer | undefined;
  /** @internal */ slot = -1;
  /** @internal */ deadlineTick = 0;
  readonly #wheel: TimerWheel;
  readonly #fire: () => void;

  constructor(wheel: TimerWheel, fire: () => void) {
    this.#wheel = wheel;
    this.#fire = fire;
  }

  get isArmed(): boolean {
    return this.slot >= 0;
  }

  /** Hot: allocates nothing. Arming an armed timer moves it. */
  arm(delayMs: number): void {
    this.#wheel.add(this, delayMs);
  }

  /** Hot. Harmless on a timer that is not armed. */
  disarm(): void {
    this.#wheel.remove(this);
  }

  /** @internal */
  fire(): void {
    this.#fire();
  }
}

const SLOTS = 512;

/**
 * One coarse timer for everything on the hot path: arming and disarming are list operations, and
 * one real timer ticks while something is armed (and does not keep the process alive).
 */
export class TimerWheel {
  readonly #tickMs: number;
  readonly #nowMs: () => number;
  readonly #slots: (Timer | undefined)[] = new Array<Timer | undefined>(SLOTS).fill(undefined);
  #tick: number;
  #armed = 0;
  #interval: NodeJS.Timeout | undefined;

  constructor(nowMs: () => number = () => performance.now(), tickMs = 10) {
    this.#nowMs = nowMs;
    this.#tickMs = tickMs;
    this.#tick = Math.floor(nowMs() / tickMs);
  }

  timer(fire: () => void): Timer {
    return new Timer(this, fire);
  }

  /** @internal */
  add(timer: Timer, delayMs: number): void {
    this.remove(timer);
    if (this.#armed === 0) this.#tick = Math.floor(this.#nowMs() / this.#tickMs);
    // One more than the quotient, since the current tick is partly over.
    const deadline = Math.floor((this.#nowMs() + Math.max(0, delayMs)) / this.#tickMs) + 1;
    timer.deadlineTick = Math.max(deadline, this.#tick + 1);
    const slot = timer.deadlineTick % SLOTS;
    timer.slot = slot;
    timer.next = this.#slots[slot];
    if (timer.next !== undefined) timer.next.previous = timer;
    this.#slots[slot] = timer;
    this.#armed++;
    if (this.#interval === undefined) {
      this.#interval = setInterval(() => this.advance(), this.#tickMs);
      this.#interval.unref();
    }
  }

  /** @internal */
  remove(timer: Timer): void {
    if (timer.slot < 0) return;
    if (timer.previous !== undefined) timer.previous.next = timer.next;
    else this.#slots[timer.slot] = timer.next;
    if (timer.next !== undefined) timer.next.previous = timer.previous;
    timer.next = undefined;
    timer.previous = undefined;
    timer.slot = -1;
    this.#armed--;
  }

  /** Fires what is due. The real timer calls it; tests with a fake clock call it themselves. */
  advance(): void {
    const now = Math.floor(this.#nowMs() / this.#tickMs);
    // After a long stall every slot is visited once, not once per missed tick.
    const first = Math.max(this.#tick + 1, now - SLOTS + 1);
    for (let tick = first; tick <= now; tick++) this.#fireSlot(tick % SLOTS, now);
    this.#tick = Math.max(this.#tick, now);
    if (this.#armed === 0) this.stop();
  }

  /** Stops the real timer; arming starts it again. */
  stop(): void {
    clearInterval(this.#interval);
    this.#interval = undefined;
  }

  #fireSlot(slot: number, now: number): void {
    // Due timers are taken out first: what fires may arm or disarm others of this slot.
    let due: Timer[] | undefined;
    for (let timer = this.#slots[slot]; timer !== undefined; timer = timer.next) {
      if (timer.deadlineTick <= now) {
        due ??= [];
        due.push(timer);
      }
    }
    if (due === undefined) return;
    for (const timer of due) {
      if (timer.slot !== slot || timer.deadlineTick > now) continue;
      this.remove(timer);
      timer.fire();
    }
  }
}
