"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const show = (...those) => those.forEach((it) => it && it.removeAttribute("hidden"));

  // ------------------------------------------------------------ theme
  const theme = $("theme"), themes = ["system", "light", "dark"];
  let worn = 0;
  theme.addEventListener("click", () => {
    worn = (worn + 1) % themes.length;
    if (worn) document.documentElement.dataset.theme = themes[worn];
    else delete document.documentElement.dataset.theme;
    theme.textContent = "Theme: " + themes[worn];
  });
  show(theme);

  // ------------------------------------------------------------ connections in detail
  const parts = [...document.querySelectorAll("details.conn")];
  const every = [...document.querySelectorAll("details")];
  if (parts.length > 1) show($("open-all"), $("close-all"));
  $("open-all")?.addEventListener("click", () => parts.forEach((it) => { it.open = true; }));
  $("close-all")?.addEventListener("click", () => parts.forEach((it) => { it.open = false; }));
  function follow() {
    const target = /^#(c\d+|means-\w+)$/.test(location.hash) && $(location.hash.slice(1));
    if (!target) return;
    target.open = true;
    target.scrollIntoView();
    target.querySelector("summary").focus({ preventScroll: true });
  }
  addEventListener("hashchange", follow);
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href^='#']");
    if (link && link.getAttribute("href") === location.hash) follow();
  });

  // printed, all is open
  let shut = [], printing = false, redraw = () => {};
  const paper = matchMedia("print");
  const unfold = (on) => {
    if (on === printing) return;
    printing = on;
    redraw();
    if (on) {
      shut = every.filter((it) => !it.open);
      shut.forEach((it) => { it.open = true; });
    } else {
      shut.forEach((it) => { it.open = false; });
      shut = [];
    }
  };
  paper.addEventListener("change", () => unfold(paper.matches));
  addEventListener("beforeprint", () => unfold(true));
  addEventListener("afterprint", () => unfold(false));

  // ------------------------------------------------------------ values as a person reads them
  function significant(value, digits) {
    return String(Number(value.toPrecision(digits)));
  }
  function span(us) {
    if (us === null) return "-";
    const s = us / 1e6;
    if (s < 0.0009995) return Math.round(us) + " µs";
    if (s < 0.09995) return significant(s * 1e3, 3) + " ms";
    if (s < 0.9995) return Math.round(s * 1e3) + " ms";
    if (s < 99.95) return significant(s, 3) + " s";
    const whole = Math.round(s), minutes = Math.floor(whole / 60);
    if (minutes < 60) return minutes + " min " + (whole % 60) + " s";
    const hours = Math.floor(minutes / 60);
    return hours < 48 ? hours + " h " + (minutes % 60) + " min" : (hours / 24).toFixed(1) + " days";
  }
  function size(count) {
    for (const unit of ["B", "kB", "MB", "GB"]) {
      if (count < 999.5) return (unit === "B" || count >= 9.95 ? count.toFixed(0) : count.toFixed(1)) + " " + unit;
      count /= 1000;
    }
    return count.toFixed(1) + " TB";
  }
  const grouped = (count) => String(count).replace(/\B(?=(\d{3})+$)/g, ",");

  // ------------------------------------------------------------ table
  const data = JSON.parse($("data").textContent);
  window.tcpscope = { span, size };
  const table = $("table");
  if (!table) { follow(); return; }
  const all = data.number.map((_, i) => i);
  const place = new Map(data.number.map((n, i) => [n, i]));
  const detailed = new Set(data.detailed);
  const findings = new Map();  // row -> places of the findings that name it
  for (const [n, which] of Object.entries(data.findings)) findings.set(place.get(Number(n)), which);
  const host = (at, port) => {
    const ip = data.hosts[at];
    return (ip.includes(":") ? "[" + ip + "]" : ip) + ":" + port;
  };
  const client = (i) => host(data.client[i], data.clientPort[i]);
  const server = (i) => host(data.server[i], data.serverPort[i]);
  const alone = new Set(["open", "unanswered", "refused"]);
  const ended = (i) => {
    const word = data.closes[data.close[i]], by = data.ends[data.by[i]];
    return by && !alone.has(word) ? word + " by " + by : word;
  };
  const names = (i) => (findings.get(i) || []).map((at) => data.findingIds[at].replaceAll("_", " "));
  // addresses in order of their numbers: each group of digits as wide as any
  const keys = data.hosts.map((ip) => ip.includes(":") ? "~" + ip : ip.replace(/\d+/g, (d) => d.padStart(3, "0")));
  const end = (hosts, ports) => (i) => keys[hosts[i]] + " " + String(ports[i]).padStart(5, "0");
  const columns = [
    { head: "#", right: true, key: (i) => data.number[i], text: (i) => String(data.number[i]) },
    { head: "Client", key: end(data.client, data.clientPort), text: client },
    { head: "Server", key: end(data.server, data.serverPort), text: server },
    ...(data.service.some(Boolean) ? [{ head: "Service", css: "cut", key: (i) => data.service[i], text: (i) => data.service[i] }] : []),
    { head: "Client state", key: (i) => data.states[data.clientState[i]], text: (i) => data.states[data.clientState[i]], css: "state" },
    { head: "Server state", key: (i) => data.states[data.serverState[i]], text: (i) => data.states[data.serverState[i]], css: "state" },
    { head: "Start", right: true, key: (i) => data.start[i], text: (i) => "+" + (data.start[i] / 1e6).toFixed(3) },
    { head: "Time", right: true, key: (i) => data.duration[i], text: (i) => span(data.duration[i]) },
    { head: "Sent →", say: "Bytes the client sent", right: true, key: (i) => data.clientBytes[i], text: (i) => size(data.clientBytes[i]) },
    { head: "← Sent", say: "Bytes the server sent", right: true, key: (i) => data.serverBytes[i], text: (i) => size(data.serverBytes[i]) },
    { head: "RTT", say: "Round trip of the handshake", right: true, key: (i) => data.rtt[i] ?? -1, text: (i) => span(data.rtt[i]) },
    { head: "Again", say: "Packets sent again", right: true, key: (i) => data.again[i], text: (i) => data.again[i] ? grouped(data.again[i]) : "" },
    { head: "Ended", key: ended, text: ended },
    { head: "Findings", key: (i) => (findings.get(i) || []).length, css: "cut", text: (i) => names(i).join(", ") },
  ];
  const PRINTED = 200;  // rows
  let texts = null;  // for the filter, made when it is first used
  let found = all, sorted = null, falling = false, page = 0;

  function words(i) {
    return [data.number[i], client(i), server(i), data.service[i], data.states[data.clientState[i]], data.states[data.serverState[i]],
      ended(i), names(i).join(" ")].join(" ").toLowerCase();
  }
  function select() {
    const sought = $("q").value.toLowerCase().split(/\s+/).filter(Boolean);
    const state = $("state").value, close = $("close").value, finding = $("finding").value;
    if (sought.length) texts ??= all.map(words);
    found = all.filter((i) =>
      (!state || data.clientState[i] === Number(state) || data.serverState[i] === Number(state)) &&
      (!close || data.close[i] === Number(close)) &&
      (!finding || (findings.get(i) || []).includes(Number(finding))) &&
      sought.every((word) => texts[i].includes(word)));
    order();
  }
  function order() {
    if (sorted !== null) {
      const key = columns[sorted].key, sign = falling ? -1 : 1;
      const of = new Map(found.map((i) => [i, key(i)]));
      found = [...found].sort((a, b) => {
        const x = of.get(a), y = of.get(b);
        return x < y ? -sign : x > y ? sign : data.number[a] - data.number[b];
      });
    }
    page = 0;
    draw();
  }
  function draw() {
    const many = printing ? PRINTED : Number($("size").value), pages = Math.max(1, Math.ceil(found.length / many));
    page = Math.min(Math.max(page, 0), pages - 1);
    const rows = found.slice(page * many, page * many + many).map(row);
    if (!rows.length) {
      const none = document.createElement("td");
      none.colSpan = columns.length;
      none.className = "none";
      none.textContent = "No connection passes the filter.";
      const line = document.createElement("tr");
      line.append(none);
      rows.push(line);
    }
    table.tBodies[0].replaceChildren(...rows);
    $("status").textContent = found.length === all.length
      ? (data.total > all.length ? "The " + grouped(all.length) + " oddest of " : "") + grouped(data.total) +
        (data.total === 1 ? " connection" : " connections") + (sorted === null && all.length > 1 ? ", worst first" : "")
      : grouped(found.length) + " of " + grouped(all.length) + " connections";
    if (printing && found.length > many) $("status").textContent += "; " + many + " of them are printed";
    $("place").textContent = "Page " + grouped(page + 1) + " of " + grouped(pages);
    for (const it of $("pager").querySelectorAll("button")) {
      it.disabled = ["first", "previous"].includes(it.dataset.page) ? page === 0 : page === pages - 1;
    }
    $("pager").toggleAttribute("hidden", found.length <= 25);
  }
  function row(i) {
    const line = document.createElement("tr");
    for (const column of columns) {
      const cell = document.createElement("td");
      if (column.right) cell.className = "r";
      else if (column.css) cell.className = column.css;
      if (column.head === "#" && detailed.has(data.number[i])) {
        const link = document.createElement("a");
        link.href = "#c" + data.number[i];
        link.textContent = column.text(i);
        link.title = "shown in detail below";
        cell.append(link);
      } else {
        cell.textContent = column.text(i);
        if (column.css === "cut" && cell.textContent) cell.title = cell.textContent;
      }
      line.append(cell);
    }
    return line;
  }
  columns.forEach((column, at) => {
    const head = document.createElement("th"), button = document.createElement("button");
    head.scope = "col";
    head.setAttribute("aria-sort", "none");
    if (column.right) head.className = "r";
    button.type = "button";
    button.textContent = column.head;
    if (column.say) button.title = column.say;
    button.addEventListener("click", () => {
      // numbers from the largest, words from A; again: the other way; once more: worst first
      const first = Boolean(column.right) && at !== 0 && column.head !== "Start";
      if (sorted !== at) { sorted = at; falling = first; }
      else if (falling === first) falling = !falling;
      else sorted = null;
      [...table.tHead.rows[0].cells].forEach((cell, n) =>
        cell.setAttribute("aria-sort", n !== sorted ? "none" : falling ? "descending" : "ascending"));
      if (sorted === null) select(); else order();
    });
    head.append(button);
    table.tHead.rows[0].append(head);
  });

  // ------------------------------------------------------------ filters
  function facet(id, entries) {
    for (const [value, label, count, of] of entries) {
      const option = document.createElement("option");
      option.value = value;
      option.textContent = label + " (" + grouped(count) + (of > count ? " of " + grouped(of) : "") + ")";
      $(id).append(option);
    }
    $(id).addEventListener("change", select);
  }
  function counted(labels, ...lists) {
    const counts = new Map();
    all.forEach((i) => new Set(lists.map((list) => list[i])).forEach((v) => counts.set(v, (counts.get(v) || 0) + 1)));
    return [...counts].sort((a, b) => b[1] - a[1]).map(([value, count]) => [value, labels[value], count]);
  }
  facet("state", counted(data.states, data.clientState, data.serverState));
  facet("close", counted(data.closes, data.close));
  const named = new Map();
  for (const which of findings.values()) which.forEach((at) => named.set(at, (named.get(at) || 0) + 1));
  facet("finding", [...named].sort((a, b) => a[0] - b[0]).map(([at, count]) =>
    [at, (at + 1) + " " + data.findingIds[at].replaceAll("_", " "), count, data.findingCounts[at]]));
  let waiting = 0;
  $("q").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(select, 120); });
  $("filters").addEventListener("submit", (event) => { event.preventDefault(); select(); });
  $("filters").addEventListener("reset", () => setTimeout(select));
  for (const button of document.querySelectorAll("button[data-finding]")) {
    if (!named.has(Number(button.dataset.finding))) continue;
    show(button);
    button.addEventListener("click", () => {
      $("filters").reset();
      setTimeout(() => {
        $("finding").value = button.dataset.finding;
        select();
        $("connections").scrollIntoView();
        $("finding").focus({ preventScroll: true });
      });
    });
  }
  $("size").addEventListener("change", draw);
  $("pager").addEventListener("click", (event) => {
    const to = event.target.dataset.page;
    if (!to) return;
    page = { first: 0, previous: page - 1, next: page + 1, last: Infinity }[to];
    draw();
  });
  redraw = draw;
  show($("filters"));
  draw();
  follow();
})();
