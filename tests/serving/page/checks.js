/**
 * What a person with another way of seeing or pointing would stumble over, as sentences: an expression that gives a
 * list of them for the visible part of a page.
 */
(() => {
  const found = [];
  const visible = (element) => element.checkVisibility({ visibilityProperty: true }) && element.getClientRects().length > 0;
  const spoken = (element) => element.closest(".spoken, .skip") !== null;
  const named = (element) => `${element.tagName.toLowerCase()}#${element.id}.${element.className}`;

  // Colours in any notation, as the browser paints them.
  const brush = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", {
    willReadFrequently: true,
  });
  const known = new Map();
  const painted = (colour) => {
    if (!known.has(colour)) {
      brush.clearRect(0, 0, 1, 1);
      brush.fillStyle = colour;
      brush.fillRect(0, 0, 1, 1);
      known.set(colour, [...brush.getImageData(0, 0, 1, 1).data]);
    }
    return known.get(colour);
  };
  const luminance = ([red, green, blue]) => {
    const [r, g, b] = [red, green, blue].map((each) => {
      const share = each / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, other) => {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = painted(getComputedStyle(at).backgroundColor);
      if (colour[3] > 0 && colour[3] < 255) {
        found.push(`the background of ${named(at)} is half transparent, so its contrast is not known`);
      }
      if (colour[3] > 0) {
        return colour;
      }
    }
    return [255, 255, 255, 255];
  };

  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = texts.nextNode(); text; text = texts.nextNode()) {
    const element = text.parentElement;
    if (text.data.trim() && visible(element) && !spoken(element)) {
      const style = getComputedStyle(element);
      const size = parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      const ratio = contrast(painted(style.color), behind(element));
      if (ratio < (large ? 3 : 4.5)) {
        found.push(`"${text.data.trim().slice(0, 30)}" in ${named(element)} has a contrast of ${ratio.toFixed(2)}`);
      }
      if (size < 11) {
        found.push(`"${text.data.trim().slice(0, 30)}" in ${named(element)} is ${size} px small`);
      }
    }
  }

  for (const field of document.querySelectorAll("input, select, textarea")) {
    if (visible(field)) {
      if (!field.labels.length || !field.labels[0].textContent.trim()) {
        found.push(`${named(field)} has no label`);
      }
      const style = getComputedStyle(field);
      if (field.type !== "checkbox" && contrast(painted(style.borderTopColor), behind(field.parentElement)) < 3) {
        found.push(`the border of ${named(field)} is hard to see`);
      }
    }
  }
  for (const button of document.querySelectorAll("button, a, summary")) {
    const box = button.getBoundingClientRect();
    if (visible(button) && !(button.getAttribute("aria-label") ?? button.textContent).trim()) {
      found.push(`${named(button)} has no name`);
    }
    // WCAG 2.2: 24 pixels.
    if (visible(button) && !spoken(button) && (box.height < 24 || box.width < 24)) {
      found.push(`${named(button)} is only ${box.width} x ${box.height}`);
    }
  }
  for (const image of document.querySelectorAll('img, canvas, [role="img"]')) {
    if (!image.hasAttribute("alt") && !image.getAttribute("aria-label")) {
      found.push(`${named(image)} has no alternative`);
    }
  }
  for (const element of document.querySelectorAll("[aria-labelledby], [aria-controls], [aria-describedby]")) {
    for (const name of ["aria-labelledby", "aria-controls", "aria-describedby"]) {
      for (const id of (element.getAttribute(name) ?? "").split(" ").filter(Boolean)) {
        if (!document.getElementById(id)) {
          found.push(`${named(element)} names ${id} in ${name}, which there is not`);
        }
      }
    }
  }
  for (const table of document.querySelectorAll("table")) {
    if (visible(table) && !table.caption) {
      found.push(`${named(table)} has no caption`);
    }
  }
  for (const scrolling of document.querySelectorAll(".scrolls, pre")) {
    if (visible(scrolling) && scrolling.tabIndex !== 0) {
      found.push(`${named(scrolling)} scrolls, and the keyboard does not reach it`);
    }
  }
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  for (const id of new Set(ids.filter((each, at) => ids.indexOf(each) !== at))) {
    found.push(`the id ${id} is there twice`);
  }
  if (document.querySelectorAll("h1").length !== 1 || document.querySelectorAll("main").length !== 1) {
    found.push("there is not one h1 and one main");
  }
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) {
    found.push(`the page is ${root.scrollWidth} wide, and ${root.clientWidth} are seen`);
  }
  return found;
})()
