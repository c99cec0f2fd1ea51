import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Column, ValueKind } from '../../connectors/contract.ts'
import { compileTemplate, parseTemplate, plainColumn, templateColumns } from '../../activities/plan/template.ts'

const column = (name: string, kind: ValueKind = 'text'): Column => ({ name, kind, nativeType: kind })
const render = (template: string, row: Record<string, [ValueKind, string | null]>) =>
  compileTemplate(
    template,
    Object.entries(row).map(([name, [kind]]) => column(name, kind)),
  )(Object.values(row).map(([, text]) => text))

test('a template of one column and nothing else is that column', () => {
  for (const template of ['{{ email }}', '{{email}}', '  {{- email -}}  ']) assert.equal(plainColumn(template), 'email', template)
  for (const template of ['{{ email | downcase }}', 'x{{ email }}', '{{ a }}{{ b }}', '{{ a.b }}', '{{ a-b }}', "{{ 'a' }}", '', 'email'])
    assert.equal(plainColumn(template), null, template)
})

test('the columns of a template: outputs, filters, conditions, loops and paths, not what it assigns itself', () => {
  const columns = (template: string) => templateColumns(template).sort()
  assert.deepEqual(columns('{{ first }} {{ last | append: suffix }}'), ['first', 'last', 'suffix'])
  assert.deepEqual(columns('{% if active and plan == tier %}{{ name }}{% else %}-{% endif %}'), ['active', 'name', 'plan', 'tier'])
  assert.deepEqual(columns('{% for tag in tags %}{{ tag.name }}{% endfor %}'), ['tags'])
  assert.deepEqual(columns('{% assign x = a %}{{ x }}{{ x }}'), ['a'])
  assert.deepEqual(columns('{{ address.city }}{{ address["zip code"] }}'), ['address'])
  assert.deepEqual(columns('no columns'), [])
})

test('texts stand as they are, NULL and the empty text render to nothing, and nothing is NULL', () => {
  assert.equal(render('{{ a }} {{ b }}!', { a: ['text', 'x'], b: ['text', 'y'] }), 'x y!')
  assert.equal(render('{{ a }}{{ b }}', { a: ['text', null], b: ['text', ''] }), null)
  assert.equal(render('{{ a }}-{{ b }}', { a: ['text', null], b: ['text', 'y'] }), '-y')
  assert.equal(render("{{ a | default: 'none' }}", { a: ['text', null] }), 'none')
})

test('numbers keep all their digits', () => {
  const row: Record<string, [ValueKind, string]> = { id: ['integer', '9007199254740993'], sum: ['decimal', '0.10000000000000000000001'] }
  assert.equal(render('{{ id }}/{{ sum }}', row), '9007199254740993/0.10000000000000000000001')
})

test('booleans decide conditions, and print as true and false', () => {
  const template = '{% if active %}yes{% else %}no{% endif %} {{ active }}'
  assert.equal(render(template, { active: ['boolean', 'true'] }), 'yes true')
  assert.equal(render(template, { active: ['boolean', 'false'] }), 'no false')
  assert.equal(render(template, { active: ['boolean', null] }), 'no ')
  // The text "false" is a text, and texts are true.
  assert.equal(render(template, { active: ['text', 'false'] }), 'yes false')
})

test('json and arrays are reached by path, index and loop', () => {
  const address: [ValueKind, string] = ['json', '{"city":"Ulm","tags":["a","b"],"ok":false}']
  assert.equal(render('{{ a.city }}{% if a.ok %}!{% endif %}{% for t in a.tags %} {{ t }}{% endfor %}', { a: address }), 'Ulm a b')
  assert.equal(render('{{ list[1] }}', { list: ['array', '["x","y"]'] }), 'y')
  assert.equal(render('{{ a.city.nothing }}', { a: address }), null)
  assert.equal(render('{{ a.city }}', { a: ['json', null] }), null)
})

test('only what the row itself holds can be reached', () => {
  assert.equal(render('{{ a.constructor }}{{ a.__proto__ }}{{ a.toString }}', { a: ['json', '{"x":1}'] }), null)
})

// Without this `{% include 'package.json' %}` sent a file of the worker's folder to the destination.
test('no tag that reads files is known', () => {
  for (const tag of ["include 'package.json'", "render 'package.json'", "layout 'package.json'", 'include name', "block 'a'"])
    assert.throws(() => parseTemplate(`{% ${tag} %}`), /tag "\w+" not found/, tag)
})

test('asking a template that does not parse for its columns is an error of the configuration', () => {
  assert.throws(() => templateColumns('{{ a | nofilter }}'), {
    name: 'ConnectorError',
    kind: 'config',
    message: 'a template does not parse: undefined filter: nofilter, line:1, col:1',
  })
})

test('an unknown filter and a template without end are found by parsing', () => {
  assert.throws(() => parseTemplate('{{ a | nofilter }}'), /undefined filter: nofilter/)
  assert.throws(() => parseTemplate('{% if a %}'), /tag {% if a %} not closed/)
  assert.throws(() => parseTemplate('x'.repeat(200_000)), /limit exceeded/)
})

test('a template that would not end is stopped, and so is one that would fill the memory', () => {
  const stopped = { invalid: 'the template takes too long or too much memory for this row' }
  const inner = '{% for b in (1..9000) %}{% for c in (1..9000) %}{% if x == b %}!{% endif %}{% endfor %}{% endfor %}'
  assert.deepEqual(render(`{% for a in (1..9000) %}${inner}{% endfor %}`, { x: ['text', 'no'] }), stopped)
  assert.deepEqual(render('{% for a in (1..1000000000) %}{{ x }}{% endfor %}', { x: ['text', 'no'] }), stopped)
  const doubling = '{% assign s = x %}{% for i in (1..64) %}{% assign s = s | append: s %}{% endfor %}{{ s }}'
  assert.deepEqual(render(doubling, { x: ['text', 'x'.repeat(1000)] }), stopped)
  assert.equal(render('{{ x }}', { x: ['text', 'yes'] }), 'yes', 'the next row is rendered')
})

test('a row on which the template fails says so without its values', () => {
  assert.deepEqual(render('{{ a.b }}', { a: ['json', 'secret'] }), { invalid: 'the template fails for this row' })
})
