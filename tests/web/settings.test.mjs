import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settingsOf } from '../../web/settings.js';

const MODE = { currentModeId: 'ask', availableModes: [{ id: 'ask', name: 'Ask' }, { id: 'code' }] };
const option = (fields) => ({ id: 'x', name: 'X', type: 'select', currentValue: 'a', options: [{ value: 'a' }], ...fields });

test('nothing is offered where the agent offers nothing', () => {
  assert.deepEqual(settingsOf({ mode: null, configOptions: null }), []);
  assert.deepEqual(settingsOf({ mode: { currentModeId: 'ask', availableModes: [] }, configOptions: [] }), []);
});

test('modes are one more setting, unless the options have them', () => {
  const [mode] = settingsOf({ mode: MODE, configOptions: null });
  assert.deepEqual([mode.id, mode.value, mode.choices.map(({ name }) => name)], [null, 'ask', ['Ask', 'code']]);
  const both = settingsOf({ mode: MODE, configOptions: [option({ category: 'mode' })] });
  assert.deepEqual(both.map(({ id }) => id), ['x']);
});

test('switches, groups, and what is not known', () => {
  const options = [
    option({ id: 'web', type: 'boolean', currentValue: true, options: undefined }),
    option({ id: 'grouped', options: [{ group: 'g', options: [{ value: 'a', name: 'A' }] }, { group: 'h', options: [{ value: 'b' }] }] }),
    option({ id: 'odd', type: 'slider' }),
    option({ id: 'empty', options: [] }),
  ];
  const settings = settingsOf({ mode: null, configOptions: options });
  assert.deepEqual(settings.map(({ id, isSwitch }) => [id, isSwitch]), [['web', true], ['grouped', false]]);
  assert.deepEqual(settings[1].choices.map(({ value, name }) => [value, name]), [['a', 'A'], ['b', 'b']]);
});
