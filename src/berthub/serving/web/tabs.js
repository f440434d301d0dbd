/** Tabs by the ARIA pattern: one is in the order of the Tab key, arrow keys, Home and End choose. */

/**
 * @param {HTMLElement} list with role tablist; its tabs name their panels by aria-controls
 * @param {(panel: HTMLElement) => void} opened is called with the panel that has become visible
 */
export function tabs(list, opened) {
  const all = /** @type {HTMLElement[]} */ ([...list.querySelectorAll('[role="tab"]')]);
  const panelOf = (/** @type {HTMLElement} */ tab) =>
    /** @type {HTMLElement} */ (document.getElementById(tab.getAttribute("aria-controls") ?? ""));

  /** @param {HTMLElement} chosen */
  function choose(chosen) {
    for (const tab of all) {
      tab.setAttribute("aria-selected", String(tab === chosen));
      tab.tabIndex = tab === chosen ? 0 : -1;
      panelOf(tab).hidden = tab !== chosen;
    }
    opened(panelOf(chosen));
  }

  list.addEventListener("click", (event) => {
    const tab = /** @type {HTMLElement} */ (event.target).closest('[role="tab"]');
    if (tab instanceof HTMLElement) {
      choose(tab);
    }
  });
  list.addEventListener("keydown", (event) => {
    const there = all.filter((tab) => !tab.hidden);
    const at = there.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const steps = { ArrowRight: at + 1, ArrowLeft: at - 1 + there.length, Home: 0, End: there.length - 1 };
    const next = steps[/** @type {keyof typeof steps} */ (event.key)];
    if (at >= 0 && next !== undefined && !event.ctrlKey && !event.altKey && !event.metaKey) {
      event.preventDefault();
      const tab = there[next % there.length];
      choose(tab);
      tab.focus();
    }
  });

  return {
    /** Choose the tab of a panel. @param {string} id */
    open(id) {
      const tab = all.find((each) => each.getAttribute("aria-controls") === id && !each.hidden) ?? all[0];
      choose(tab);
    },
    /** Show the tabs of these panels alone. @param {Set<string>} ids */
    offer(ids) {
      for (const tab of all) {
        tab.hidden = !ids.has(tab.getAttribute("aria-controls") ?? "");
      }
      const chosen = all.find((tab) => tab.getAttribute("aria-selected") === "true");
      if (chosen === undefined || chosen.hidden) {
        choose(all.filter((tab) => !tab.hidden)[0]);
      }
    },
  };
}
