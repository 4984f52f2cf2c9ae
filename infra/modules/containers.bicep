// Containers and queues of an account, new or reused. What is there already stays as it is, and stays private.
param accountName string
param containers array
param queues array
param logName string
param workspaceId string

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: accountName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' existing = {
  parent: account
  name: 'default'
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' = [for name in containers: {
  parent: blobs
  name: name
  properties: { publicAccess: 'None' }
}]

resource messages 'Microsoft.Storage/storageAccounts/queueServices@2023-05-01' existing = {
  parent: account
  name: 'default'
}

resource queue 'Microsoft.Storage/storageAccounts/queueServices/queues@2023-05-01' = [for name in queues: {
  parent: messages
  name: name
}]

// Who wrote into which queue: the alert on poison queues reads it.
resource log 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(queues)) {
  name: logName
  scope: messages
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'StorageWrite', enabled: true }]
  }
}
