import type { FieldDescription } from '../contract.ts'

/** A field as the connector works with it. */
export interface SalesforceField extends FieldDescription {
  readonly createable: boolean
  readonly updateable: boolean
  readonly nillable: boolean
  readonly externalId: boolean
  /** Enforced by Salesforce; an external id need not be. */
  readonly enforcedUnique: boolean
  /** Digits in all and after the point, of numbers. */
  readonly precision: number
  readonly scale: number
  readonly relationshipName: string | null
  readonly referenceTo: readonly string[]
  /** Of a field by which a related record is found (`Account.Ext__c`): the lookup field that it stands for (`AccountId`). */
  readonly lookup: string | null
}

export interface SalesforceObject {
  readonly name: string
  /** First three characters of its records' ids. */
  readonly keyPrefix: string | null
  readonly createable: boolean
  readonly updateable: boolean
  readonly deletable: boolean
  readonly fields: ReadonlyMap<string, SalesforceField>
}
