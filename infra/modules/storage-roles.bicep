// Carries out a part of ../roles.bicep in the group of the storage account.
param accountName string
param onContainers array
param onQueues array
param onAccount array
param roleIds object

resource account 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: accountName
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2023-05-01' existing = {
  parent: account
  name: 'default'
}

resource messages 'Microsoft.Storage/storageAccounts/queueServices@2023-05-01' existing = {
  parent: account
  name: 'default'
}

resource container 'Microsoft.Storage/storageAccounts/blobServices/containers@2023-05-01' existing = [for item in onContainers: {
  parent: blobs
  name: item.where
}]

resource queue 'Microsoft.Storage/storageAccounts/queueServices/queues@2023-05-01' existing = [for item in onQueues: {
  parent: messages
  name: item.where
}]

resource containerRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (item, index) in onContainers: {
  name: guid(account.id, 'container', item.where, item.who.id, roleIds[item.role])
  scope: container[index]
  properties: {
    principalId: item.who.id
    principalType: item.who.type
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds[item.role])
  }
}]

resource accountRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for item in onAccount: {
  name: guid(account.id, 'account', item.who.id, roleIds[item.role])
  scope: account
  properties: {
    principalId: item.who.id
    principalType: item.who.type
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds[item.role])
  }
}]

resource queueRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (item, index) in onQueues: {
  name: guid(account.id, 'queue', item.where, item.who.id, roleIds[item.role])
  scope: queue[index]
  properties: {
    principalId: item.who.id
    principalType: item.who.type
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds[item.role])
  }
}]
