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

  /* The store's htmx is used where it has one, ours loaded where it has none. */
  const loadHtmx = () => {
    if (!script.dataset.htmx || window.htmx || document.querySelector('script[src*="htmx"]')) return;
    if (!document.querySelector('meta[name="htmx-config"]')) {
      document.head.append(Object.assign(document.createElement('meta'), {
        name: 'htmx-config',
        content: '{"includeIndicatorStyles":false,"allowEval":false,"historyCacheSize":0}',
      }));
    }
    document.head.append(Object.assign(document.createElement('script'), {
      src: script.dataset.htmx,
      nonce: script.nonce,
      onload: start,
    }));
  };

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
  on('submit', (event) => mine(event.target) && !event.defaultPrevented && busy(event.target));
  on('htmx:beforeRequest htmx:before:request', ({ target }) => mine(target) && busy(formOf(target)));
  on('htmx:afterRequest htmx:finally:request', ({ target, detail: { ctx, xhr } }) => {
    const leaving = ctx ? ctx.hx?.redirect : xhr.getResponseHeader('HX-Redirect');
    if (mine(target) && !leaving) idle(formOf(target));
  });

  /* Only our own fragments are shown, whatever their status; a login page is gone to instead. */
  const fail = (node) => mine(node)?.querySelectorAll('[data-inv-failed]').forEach((note) => { note.hidden = false; });
  on('htmx:beforeSwap htmx:before:swap', (event) => {
    const { ctx, xhr, requestConfig, tasks } = event.detail;
    const source = ctx ? ctx.sourceElement : requestConfig.elt;
    if (!mine(source)) return;
    const name = 'X-Invitations-Fragment';
    if (ctx ? ctx.response.headers.get(name) : xhr.getResponseHeader(name)) {
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
    if (ok && redirected) location.assign(url); else fail(source);
  });
  on('htmx:sendError htmx:timeout htmx:error', ({ type, target, detail }) => {
    if (type !== 'htmx:error' || detail.ctx) fail(target);
  });

  /* The grid's menu: "all" means every row that matches, less the ones taken out again. */
  const boxes = (form) => [...form.elements].filter(({ name }) => name === 'ids');
  const count = (form) => {
    const output = form.querySelector('[data-inv-count]');
    const out = boxes(form).filter((box) => !box.checked).length;
    const chosen = form.elements.select.value === 'all'
      ? output.dataset.invTotal + (out ? ` − ${out}` : '')
      : boxes(form).length - out;
    output.textContent = chosen ? output.dataset.invCount.replace('#', chosen) : '';
  };
  on('change', ({ target }) => {
    const form = target.form;
    if (form?.id !== 'inv-actions') return;
    if (target.name === 'select') {
      const choice = target.value;
      boxes(form).forEach((box) => { box.checked = choice === 'all' || choice === 'visible'; });
      const kept = choice.endsWith('visible') ? target.dataset.invSelect : choice;
      target.value = target.dataset.invSelect = kept === 'all' ? 'all' : '';
    }
    count(form);
  });
  on('formdata', ({ target, formData }) => {
    if (target.id === 'inv-actions' && formData.get('select') === 'all') {
      formData.delete('ids');
      boxes(target).forEach((box) => box.checked || formData.append('exclude', box.value));
    }
    if ('invLean' in target.dataset) [...formData].forEach(([name, value]) => value || formData.delete(name));
  });

  /* What a page needs when it is shown, by the browser or by htmx. */
  const show = () => {
    document.querySelectorAll('[data-inv-select]').forEach((menu) => {
      [...menu.options].forEach((option) => { option.hidden = option.disabled = false; });
      menu.dataset.invSelect = menu.value;
      count(menu.form);
    });
  };
  on('htmx:afterSettle htmx:after:swap', ({ target }) => {
    const root = mine(target);
    if (!root) return;
    show();
    if (document.activeElement === document.body) target.closest('[tabindex="-1"]')?.focus({ preventScroll: true });
    say(root, [...target.querySelectorAll('[role="status"]')].map((node) => node.textContent.trim()).join(' '));
  });
  on('pageshow', () => {
    document.querySelectorAll('[aria-busy]').forEach((form) => mine(form) && idle(form));
    show();
  });
  on('DOMContentLoaded', loadHtmx);
  on('load', start);
})();
