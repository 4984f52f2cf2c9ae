// A storage account, closed as far as it goes.
param location string
param tags object
param name string
param sku string
param allowSharedKeyAccess bool
@description('Only private endpoints, Event Grid and the given addresses get in.')
param closed bool
param allowedIpRanges array
param softDeleteDays int
@description('Pages that may send blobs (docs/web.md).')
param pageOrigins array

var ipRules = [for range in (closed ? allowedIpRanges : []): { value: range, action: 'Allow' }]

// What Put Block and Put Block List of a browser need, and no more: a page never reads, lists or deletes.
var pageRules = [
  { allowedOrigins: pageOrigins, allowedMethods: ['PUT'], allowedHeaders: ['content-type', 'x-ms-*'], exposedHeaders: ['x-ms-*'], maxAgeInSeconds: 3600 }
]

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: sku }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: allowSharedKeyAccess
    defaultToOAuthAuthentication: true
    isHnsEnabled: false // with it a rename raises another event than an upload
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    // 'Disabled' would shut Event Grid's dead letters out as well; nobody gets past 'Deny' but those named here.
    publicNetworkAccess: 'Enabled'
    networkAcls: {
      defaultAction: closed ? 'Deny' : 'Allow'
      bypass: 'AzureServices'
      ipRules: ipRules
    }
  }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' = {
  parent: account
  name: 'default'
  properties: {
    cors: { corsRules: empty(pageOrigins) ? [] : pageRules }
    deleteRetentionPolicy: { enabled: true, days: softDeleteDays }
    containerDeleteRetentionPolicy: { enabled: true, days: softDeleteDays }
  }
}

output id string = account.id
