/* Makes the pages quicker: all work as plain links and forms without it.
   For htmx 2 and 4, ours or the store's; touches nothing outside .inv and .inv-admin. */
(() => {
  const script = document.currentScript;
  const mine = (node) => node?.closest?.('.inv, .inv-admin');
  const formOf = (node) => node.form ?? node.closest('form');
  const on = (names, act, capture) =>
    names.split(' ').forEach((name) => addEventListener(name, act, capture));

  // htmx that arrives between DOMContentLoaded and load does not start by itself.
  const start = () => document.querySelectorAll('.inv').forEach((root) => window.htmx?.process(root));

  /* No inline style, no eval, no addresses in the browser's history cache; for htmx 2 and 4. */
  const configure = (more) => {
    if (document.querySelector('meta[name="htmx-config"]')) return;
    const config = { includeIndicatorStyles: false, allowEval: false, historyCacheSize: 0, ...more };
    document.head.append(Object.assign(document.createElement('meta'), {
      name: 'htmx-config',
      content: JSON.stringify(config),
    }));
  };

  /* The store's htmx is used where it has one, ours loaded where it has none. The back office has ours. */
  const loadHtmx = () => {
    if (!script.dataset.htmx || window.htmx || document.querySelector('script[src*="htmx"]')) return;
    configure();
    document.head.append(Object.assign(document.createElement('script'), {
      src: script.dataset.htmx,
      nonce: script.nonce,
      onload: start,
    }));
  };

  if (!script.dataset.htmx) {
    configure({
      defaultSettleDelay: 0, // what was swapped in works at once
      includeIndicatorCSS: false,
      historyRestoreAsHxRequest: false,
      implicitInheritance: true,
    });
  }

  // A status that arrives with its text is not read out; one that is filled is.
  const live = Object.assign(document.createElement('p'), { className: 'inv-visually-hidden', role: 'status' });
  const say = (node, text = '') => {
    mine(node)?.append(live);
    live.textContent = text;
  };

  /* One request at a time for a form. The attribute, not "disabled": that would drop the button's value. */
  const busy = (form) => {
    form?.setAttribute('aria-busy', 'true');
    say(form, form?.dataset.invBusy);
  };
  const idle = (form) => form?.removeAttribute('aria-busy');
  on('click submit', (event) => {
    const form = event.type === 'submit' ? event.target : event.target.closest?.('button')?.form;
    if (!mine(form) || !form.hasAttribute('aria-busy')) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, true);
  on('submit', ({ target, submitter, defaultPrevented }) => { // a page that stays is not busy
    if (mine(target) && !defaultPrevented && !submitter?.formTarget) busy(target);
  });
  // What waits for an answer: the whole grid, or else a form.
  const gridOf = ({ ctx, target }) => [ctx ? ctx.target : target].find((node) => node?.id === 'inv-grid');
  on('htmx:beforeRequest htmx:before:request', ({ target, detail }) => {
    if (mine(target)) busy(gridOf(detail) ?? formOf(target));
  });
  on('htmx:afterRequest htmx:finally:request', ({ target, detail }) => {
    const { ctx, xhr } = detail;
    const leaving = ctx ? ctx.hx?.redirect : xhr.getResponseHeader('HX-Redirect');
    if (mine(target) && !leaving) [gridOf(detail), formOf(target)].forEach(idle);
  });

  /* What was typed outlives a session that ended: kept in this tab from its sending to the next page of ours, which
     gives it back to whose form it was, once: to an empty form, or where the sign-in led back for this. On anybody
     else's page it is forgotten unseen. */
  const DRAFT = 'invitations-draft';
  const RETURNED = 'typed'; // an argument of the address that the sign-in leads back to
  const stored = (act) => { try { return act(sessionStorage); } catch { return null; } }; // may be forbidden
  const forget = () => stored((store) => store.removeItem(DRAFT));
  const stateOf = ({ type }) => (type === 'checkbox' ? 'checked' : 'value');
  // What is hidden comes along: it tells of which state of things a form was.
  const fieldsOf = (form) => [...form.elements].filter(({ name, type }) =>
    name && name !== 'csrf_token' && !['submit', 'file', 'radio', 'select-multiple'].includes(type));
  const isEmpty = (form) => !fieldsOf(form).some(({ type, defaultValue }) => type !== 'hidden' && defaultValue);
  const keep = (form) => {
    const key = mine(form) && form.dataset.invDraft;
    if (!key) return;
    const typed = fieldsOf(form).map((field) => [field.name, field[stateOf(field)]]);
    stored((store) => store.setItem(DRAFT, JSON.stringify({ key, action: form.action, typed })));
  };
  on('submit', ({ target }) => keep(target));
  on('htmx:beforeRequest htmx:before:request', ({ target }) => keep(formOf(target)));
  // Rows that a fresh form does not have are the server's to make.
  const showRows = (form, typed) => {
    const whole = Object.assign(document.createElement('form'), { method: 'post', action: form.dataset.invRows, hidden: true });
    const hidden = [...form.elements].filter(({ type }) => type === 'hidden').map(({ name, value }) => [name, value]);
    whole.append(...[...new Map([...typed, ...hidden, ['remove_row', -1]])]
      .map(([name, value]) => Object.assign(document.createElement('textarea'), { name, value })));
    mine(form).append(whole);
    whole.submit();
  };
  const isReturned = () => {
    const address = new URL(location);
    if (!address.searchParams.has(RETURNED)) return false;
    address.searchParams.delete(RETURNED);
    history.replaceState(history.state, '', address);
    return true;
  };
  const giveBack = () => {
    const draft = JSON.parse(stored((store) => store.getItem(DRAFT)));
    forget();
    const returned = isReturned();
    const form = draft && document.querySelector(`form[data-inv-draft="${CSS.escape(draft.key)}"]`);
    if (form?.action !== draft?.action || !form || !(returned || isEmpty(form))) return;
    if (draft.typed.some(([name]) => /^emails-[1-9]/.test(name))) return showRows(form, draft.typed);
    const fields = fieldsOf(form);
    draft.typed.forEach(([name, value]) => { // several may have one name
      const place = fields.findIndex((field) => field.name === name);
      if (place >= 0) fields.splice(place, 1).forEach((field) => { field[stateOf(field)] = value; });
    });
  };
  on('DOMContentLoaded', giveBack);

  /* Only our own fragments are shown, whatever their status; a login page is gone to instead. */
  const fail = (node, why, again) => mine(node)?.querySelectorAll('[data-inv-failed]').forEach((note) => {
    note.hidden = !['', why].includes(note.dataset.invFailed);
    if (!note.hidden && node.closest('form, button')) note.scrollIntoView({ block: 'nearest' });
    note.querySelectorAll('a').forEach((link) => { link.href = again ?? link.href; });
  });
  const addressOf = ({ ctx, pathInfo }) => (ctx ? ctx.request.action : pathInfo?.finalRequestPath);
  on('htmx:beforeSwap htmx:before:swap', (event) => {
    const { ctx, xhr, requestConfig, tasks } = event.detail;
    const source = ctx ? ctx.sourceElement : requestConfig.elt;
    if (!mine(source)) return;
    const name = 'X-Invitations-Fragment';
    if (ctx ? ctx.response.headers.get(name) : xhr.getResponseHeader(name)) {
      forget();
      event.detail.shouldSwap = true;
      event.detail.isError = false;
      tasks?.forEach(({ swapSpec }) => { if (swapSpec.style === 'none') swapSpec.style = 'outerHTML'; });
      return;
    }
    event.preventDefault();
    const { url, redirected, ok } = ctx ? ctx.response.raw : {
      url: xhr.responseURL, ok: xhr.status < 300,
      redirected: xhr.responseURL !== new URL(event.detail.pathInfo.finalRequestPath, location.href).href,
    };
    if (ok && redirected) location.assign(url); else {
      fail(source, (ctx?.response ?? xhr).status < 500 ? 'refused' : 'unreached', addressOf(event.detail));
    }
  });
  on('htmx:sendError htmx:timeout htmx:error', ({ type, target, detail }) => {
    if (type !== 'htmx:error' || detail.ctx) fail(target, 'unreached', addressOf(detail));
  });

  /* The grid's selection outlives its page: ids only, under a name that tells nothing of the filter.
     With "all", every row that matched then is chosen, up to the id seen, and ids are those taken out again. */
  const KEPT = 'invitations-selected';
  let selected = {};
  let before = null; // the selection that the menu was come to with
  const boxes = (form) => [...form.elements].filter(({ name }) => name === 'ids');
  const read = ({ dataset: { invKey: key } }) => {
    const kept = JSON.parse(stored((store) => store.getItem(KEPT)));
    if (kept) selected = { ...kept, ids: new Set(kept.ids) };
    if (selected.key !== key) selected = { key, ids: new Set() };
  };
  const choose = (box, chosen) => selected.ids[chosen === !selected.all ? 'add' : 'delete'](Number(box.value));
  const totalNow = () => document.getElementById('inv-total').dataset.invTotal;
  const paint = (form) => {
    const { all, upto, ids } = selected;
    const total = Number.isNaN(Number(selected.total)) ? totalNow() : selected.total; // exact by now
    boxes(form).forEach((box) => {
      box.disabled = all && box.value > upto; // it came later
      box.checked = !box.disabled && ids.has(Number(box.value)) === !all;
    });
    const output = form.querySelector('[data-inv-count]');
    const number = (value) => Number(value).toLocaleString(document.documentElement.lang);
    const chosen = !all ? ids.size : total - ids.size;
    const text = Number.isNaN(chosen) ? total + (ids.size ? ` − ${number(ids.size)}` : '') : number(chosen);
    output.textContent = chosen === 0 ? '' : output.dataset.invCount.replace('#', text);
  };
  const settle = (menu) => {
    before = null;
    menu.value = selected.all && !selected.ids.size ? 'all' : '';
  };
  on('change', ({ target }) => {
    const form = target.form;
    if (form?.id !== 'inv-actions' || !['ids', 'select'].includes(target.name)) return;
    if (target.name === 'ids') {
      choose(target, target.checked);
      settle(form.elements.select);
    } else {
      before ??= selected; // what the arrow keys pass on their way is undone again
      selected = { ...before, ids: new Set(before.ids) };
      const { value } = target;
      if (value === 'all' || value === 'none') {
        selected = { key: selected.key, all: value === 'all', upto: Number(form.elements.upto.value), total: totalNow(), ids: new Set() };
      } else if (value) {
        boxes(form).forEach((box) => box.disabled || choose(box, value === 'visible'));
      }
    }
    stored((store) => store.setItem(KEPT, JSON.stringify({ ...selected, ids: [...selected.ids] })));
    paint(form);
  });
  on('focusout', ({ target }) => 'invSelect' in target.dataset && settle(target));
  on('formdata', ({ target, formData }) => {
    if (target.id === 'inv-actions') {
      ['ids', 'select'].forEach((name) => formData.delete(name));
      if (selected.all) {
        formData.set('select', 'all');
        formData.set('upto', selected.upto);
      }
      selected.ids.forEach((id) => formData.append(selected.all ? 'exclude' : 'ids', id));
    }
    if ('invLean' in target.dataset) [...formData].forEach(([name, value]) => value || formData.delete(name));
  });
  on('submit', ({ target }) => 'invForget' in target.dataset && stored((store) => store.removeItem(KEPT)));

  /* A file that was just asked for comes by itself, once: a reload or a shared address starts nothing. */
  on('load', () => {
    const form = document.querySelector('form[data-inv-start]');
    if (!mine(form) || location.hash !== '#start') return;
    history.replaceState(history.state, '', location.pathname + location.search);
    setTimeout(() => form.requestSubmit());
  });

  /* A panel above the grid is closed without asking the server. */
  const close = (panel) => {
    panel.replaceChildren();
    document.querySelector('.inv-panels a[data-inv-opened]')?.focus();
  };
  on('click', (event) => {
    const opener = event.target.closest?.('.inv-panels a');
    opener?.parentNode.querySelectorAll('a').forEach((link) => link.toggleAttribute('data-inv-opened', link === opener));
    const panel = event.target.closest?.('[data-inv-close]')?.closest('#inv-panel');
    if (!panel) return;
    event.preventDefault();
    close(panel);
  });
  on('keydown', ({ key, target }) => {
    const panel = key === 'Escape' && target.closest?.('#inv-panel');
    if (panel) close(panel);
  });

  /* A setting that follows a wider scope is not typed into; without this the ticked box wins on the server. */
  const inherit = (box) => {
    const field = box.form.elements[box.dataset.invInherit];
    field.disabled = box.checked;
    field.closest('.inv-setting').classList.toggle('inv-setting-inherited', box.checked);
  };
  on('change', ({ target }) => 'invInherit' in target.dataset && inherit(target));

  /* The browser asks before a form is left whose text is nowhere saved: it was changed, or it came back with what
     was posted. Not where that is wanted (it is sent, or reset), nor for what is only looked at. */
  const isChanged = (field) => {
    if (field.closest('[data-inv-aside]')) return false;
    if (!field.options) return field.value !== (field.defaultValue ?? field.value) || field.checked !== field.defaultChecked;
    const first = [...field.options].findIndex(({ defaultSelected }) => defaultSelected);
    return field.selectedIndex !== Math.max(first, 0);
  };
  const isUnsaved = (form) => !form.hasAttribute('aria-busy')
    && (form.dataset.invUnsaved === 'POST' || [...form.elements].some(isChanged));
  on('click', ({ target }) => delete target.closest?.('[data-inv-reset]')?.closest('form').dataset.invUnsaved);
  let stays = false; // a file is fetched, the page stays
  on('click', ({ target }) => { stays = Boolean(target.closest?.('[data-inv-file]')); });
  const askToLeave = (event) => {
    if (!stays && [...document.querySelectorAll('form[data-inv-unsaved]')].some(isUnsaved)) event.preventDefault();
  };
  // Nowhere else: it keeps a page out of some browsers' cache of what Back leads to.
  if (document.querySelector('[data-inv-unsaved]')) on('beforeunload', askToLeave);

  /* What a page needs when it is shown, by the browser or by htmx. */
  const show = () => {
    document.querySelectorAll('[data-inv-inherit]').forEach(inherit);
    document.querySelectorAll('[data-inv-select]').forEach((menu) => {
      [...menu.options].forEach((option) => { option.hidden = option.disabled = false; });
      read(menu.form);
      if (menu !== document.activeElement) settle(menu); // what comes late must not take it out of a hand
      paint(menu.form);
    });
  };
  on('htmx:afterSettle htmx:after:swap', (event) => {
    const into = event.detail.ctx?.target;
    const target = into?.isConnected ? into : event.target;
    const root = mine(target);
    if (!root || target.dataset.hxTrigger?.startsWith('every')) return; // what asks again every second is not announced
    show();
    if (target.closest('#inv-total, #inv-glance')) return;
    if (target.id === 'inv-panel' && !target.contains(document.activeElement)) {
      target.querySelector('input:not([type="hidden"]), select, a')?.focus();
    }
    if (document.activeElement === document.body) target.closest('[tabindex="-1"]')?.focus({ preventScroll: true });
    const isGrid = target.id === 'inv-grid';
    if (isGrid && target.getBoundingClientRect().top < 0) target.scrollIntoView();
    const said = target.querySelectorAll(`[role="status"]${isGrid ? ', #inv-total p' : ''}`);
    say(root, [...said].map((node) => node.textContent.trim()).join(' '));
  });
  on('pageshow', () => {
    document.querySelectorAll('[aria-busy]').forEach((form) => mine(form) && idle(form));
    show();
  });
  on('DOMContentLoaded', loadHtmx);
  on('load', start);
})();
